"""docs/markets.md: its examples run and print what it says, and it names every method."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import flows.desk
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.markets import AsyncMarket, Market

PAGE = (Path(__file__).parents[2] / "docs" / "markets.md").read_text()
BLOCKS = re.findall(r"^```(python|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_print_what_the_page_says(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flows.desk.desk_of_this_process.cache_clear()
    names: dict[str, Any] = {"__name__": "example"}
    with SandboxServer() as sandbox:
        monkeypatch.setenv("MISSIONDESK_HOME", str(tmp_path))
        monkeypatch.setenv("MISSIONDESK_DATABASE_URL", database_url)
        monkeypatch.setenv("MISSIONDESK_EXCHANGE", "sandbox")
        monkeypatch.setenv("MISSIONDESK_EXCHANGE_URL", sandbox.url)
        for kind, block in BLOCKS:
            if kind == "python":
                exec(compile(block, "docs/markets.md", "exec"), names)
            else:
                assert capsys.readouterr().out == block
    assert capsys.readouterr().out == ""
    names["spot"].leave()
    names["perpetual"].leave()
    flows.desk.desk_of_this_process.cache_clear()


def test_every_method_is_on_the_page_and_can_be_awaited() -> None:
    methods = [name for name, value in vars(Market).items() if callable(value) and not name.startswith("_")]
    assert len(methods) == 10
    for name in methods:
        assert f"`{name}(" in PAGE
        assert callable(getattr(AsyncMarket, name))
