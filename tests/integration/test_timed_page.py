"""The page about timed tasks: its examples say what they print, and its tables what there is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import missiondesk.timed.decorator
from missiondesk.timed.settings import TimedSettings
from models.timed_tables import timed_task as table

PAGE = (Path(__file__).parents[2] / "docs" / "timed-tasks.md").read_text()
BLOCKS = re.findall(r"^```(python|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


class TwoOClock(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime(2020, 10, 11, 2, 0, tzinfo=UTC)


def test_the_examples_print_what_the_page_says(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MISSIONDESK_DATABASE_URL", database_url)
    monkeypatch.setattr(missiondesk.timed.decorator, "datetime", TwoOClock)
    names: dict[str, Any] = {"__name__": "example"}
    for kind, block in BLOCKS:
        if kind == "python":
            exec(compile(block, "docs/timed-tasks.md", "exec"), names)
        else:
            assert capsys.readouterr().out == block
    assert capsys.readouterr().out == ""
    assert callable(names["report"])


def test_every_column_and_setting_is_on_the_page() -> None:
    for column in table.columns:
        assert column.name == "id" or f"`{column.name}`" in PAGE
    for field in TimedSettings.model_fields.values():
        assert f"`{field.alias}`" in PAGE
