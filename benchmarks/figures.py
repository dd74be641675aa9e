"""Figures that a benchmark found, kept in benchmarks/latest.json beside those of earlier runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

LATEST = Path(__file__).parent / "latest.json"


@dataclass(frozen=True)
class Figure:
    """One measured value; `peer` says what it was measured against, `note` how."""

    value: float
    unit: str
    peer: str
    note: str


def record(figures: dict[str, Figure]) -> None:
    """Replace these keys in the file and keep all others."""
    known = json.loads(LATEST.read_text()) if LATEST.exists() else {}
    known |= {key: asdict(figure) for key, figure in figures.items()}
    LATEST.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
