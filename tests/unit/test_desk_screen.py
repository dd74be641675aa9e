"""What a desk says on its terminal: the table of the Missions, and that no trouble with it ends the desk."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Engine, create_engine

from console.desk.log_files import RotatingFile
from console.desk.screen import Screen
from console.mission_lines import MissionLine, mission_table
from models.errors import DatabaseUnreachable

NOW = datetime(2026, 1, 2, tzinfo=UTC)
BRACKETS = MissionLine(7, "dip [btc]", True, "paper", "1/2 buy [/b] [red]", "[bold] RSI", None)


@pytest.fixture
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """One on a terminal, as far as rich knows; it writes `desk.log` too."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    shown = Screen(RotatingFile(tmp_path / "desk.log", 100_000, 1))
    shown.watch_missions(create_engine("postgresql://"))
    return shown


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[MissionLine] | Exception], None]:
    """Sets what looking for the Missions finds."""

    def find(answer: list[MissionLine] | Exception) -> None:
        def mission_lines(engine: Engine, now: datetime) -> list[MissionLine]:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr("console.desk.screen.mission_lines", mission_lines)

    return find


def test_brackets_in_names_are_just_characters() -> None:
    console = Console(width=120, file=StringIO())
    console.print(mission_table([BRACKETS], NOW))
    assert isinstance(console.file, StringIO)
    for text in ("dip [btc]", "1/2 buy [/b] [red]", "[bold] RSI"):
        assert text in console.file.getvalue()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("odd"), "the Missions can't be shown: KeyError: 'odd'"),
        (DatabaseUnreachable("nobody there"), "the Missions can't be shown: nobody there"),
    ],
)
def test_trouble_stands_in_the_tables_place_and_once_in_the_log(
    screen: Screen,
    found: Callable[[list[MissionLine] | Exception], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    told: str,
) -> None:
    found(error)
    screen.refresh()
    screen.refresh()
    assert told in capsys.readouterr().out
    assert (tmp_path / "desk.log").read_text().count(told) == 1
    found([BRACKETS])
    screen.refresh()
    assert "dip [btc]" in capsys.readouterr().out
    screen.end()


def test_a_terminal_that_is_gone_is_left_alone(
    screen: Screen,
    found: Callable[[list[MissionLine] | Exception], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Gone(StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    found([BRACKETS])
    screen.refresh()
    monkeypatch.setattr("sys.stdout", Gone())
    screen.refresh()
    screen.say("still there")
    screen.end()
    log = (tmp_path / "desk.log").read_text()
    assert "the Missions are no longer shown" in log
    assert "still there" in log
