"""`python -m benchmarks`: measures, prints every figure and writes it to benchmarks/latest.json."""

from __future__ import annotations

from benchmarks import feed, hub, orders, refresh, ticks
from benchmarks.figures import record

BENCHMARKS = (ticks.measure, hub.measure, feed.measure, orders.measure, refresh.measure)

if __name__ == "__main__":
    for measure in BENCHMARKS:
        figures = measure()
        for key, figure in figures.items():
            print(f"{key}: {figure.value:.1f} {figure.unit} (peer: {figure.peer}; {figure.note})")
        record(figures)
