"""The words that explain scores: reasons and points of many signals, as JSON texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import repeat

from missiondesk.market.candles import FloatArray
from missiondesk.market.signal_settings import Line
from missiondesk.market.situation_series import Places


class SignalTexts:
    """Reasons and points of each of some rows, as JSON texts in the order in which they are told."""

    def __init__(self, count: int) -> None:
        self._openings: list[list[str]] = [[] for _ in range(count)]
        self._breakdown: list[list[str]] = [[] for _ in range(count)]
        self._scored: list[list[str]] = [[] for _ in range(count)]

    def open(self, rows: Places, text: str, *numbers: FloatArray) -> None:
        """Reasons that come before all scores."""
        shown = zip(*(values.tolist() for values in numbers), strict=True) if numbers else repeat(())
        template = json.dumps(text)
        for row, values in zip(rows.tolist(), shown, strict=False):
            self._openings[row].append(template.format(*values))

    def base(self, rows: Places, points: int) -> None:
        text = _with_points('"base"', points)
        for row in rows.tolist():
            self._breakdown[row].append(text)

    def score(self, rows: Places, reason: str, points: int) -> None:
        told = json.dumps(reason)
        counted = _with_points(told, points)
        for row in rows.tolist():
            self._scored[row].append(told)
            self._breakdown[row].append(counted)

    def score_values(self, rows: Places, what: str, values: FloatArray, line: Line) -> None:
        """Rows whose value matches this line."""
        start, end = json.dumps(what)[:-1], json.dumps(f" is {line}")[1:]
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            told = f"{start} {value:.2f}{end}"
            self._scored[row].append(told)
            self._breakdown[row].append(_with_points(told, line.points))

    def texts(self) -> Iterator[tuple[str, str]]:
        for openings, scored, breakdown in zip(self._openings, self._scored, self._breakdown, strict=True):
            yield f"[{', '.join(openings + scored)}]", f"[{', '.join(breakdown)}]"


def _with_points(told: str, points: int) -> str:
    return f'{{"reason": {told}, "points": {points}}}'
