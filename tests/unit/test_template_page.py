"""docs/templates.md: its table is current, its code runs, its example message is one."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from missiondesk.templates.page import updated
from missiondesk.templates.registry import find
from missiondesk.templates.run import try_template
from missiondesk.templates.validation import parse_params
from models.errors import InputRefused
from tests.template_ports import FileMarkets, TemplateDesk, drawn, task_of

PAGE = (Path(__file__).parents[2] / "docs/templates.md").read_text()


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_table_is_current() -> None:
    assert updated(PAGE) == PAGE


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(InputRefused, match="expected the page to hold"):
        updated("# Templates")


def test_the_example_of_compare_is_valid() -> None:
    parse_params(find("compare"), json.loads(block("json")))


def test_the_template_of_ones_own_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "colours_of_the_page.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    __import__("colours_of_the_page")
    desk = TemplateDesk(FileMarkets({("kraken", "BTC/USD", "1h"): drawn([1.0, 2.0])}))
    task = task_of("candle_is_green", {"symbol": "BTC/USD", "timeframe": "1h"})
    verdict = try_template(desk.context(datetime(2024, 1, 2, tzinfo=UTC)), task)
    assert (verdict.passed, verdict.msg) == (True, "close=2, open=1")
