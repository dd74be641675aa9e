"""Durations of rows are bounded, so that no tick overflows."""

from __future__ import annotations

from typing import Any

import pytest

from models.errors import InvalidRow
from models.mission import Mission, MissionTask

ROW = {"id": 1, "name": "mine", "template": "any", "task_ids": [1]}


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (Mission, "max_lateness_seconds"),
        (Mission, "expires_after_seconds"),
        (MissionTask, "retry_delay_seconds"),
        (MissionTask, "timeout_seconds"),
        (MissionTask, "cache_seconds"),
    ],
)
@pytest.mark.parametrize("seconds", [1e15, float("inf"), float("nan")])
def test_a_duration_of_more_than_ten_years_names_row_and_field(kind: Any, field: str, seconds: float) -> None:
    with pytest.raises(InvalidRow, match=f"'mine' is not valid: {field}"):
        kind.from_row({**ROW, field: seconds})
