"""What a desk says: lines as things happen and, on a terminal, a live table of the Missions below them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.text import Text
from sqlalchemy import Engine

from console.desk.log_files import RotatingFile, stamped
from console.mission_lines import mission_lines, mission_table
from models.errors import MissiondeskError

# A terminal that is gone, or has no such characters. Rich keeps what it could not write, and tries again.
_UNWRITABLE = (OSError, UnicodeError)


class Screen:
    """Writes to `log` and, unless `quiet`, to stdout.

    The table appears with `watch_missions` and is drawn anew by `refresh`.
    """

    def __init__(self, log: RotatingFile, *, quiet: bool = False) -> None:
        self._log = log
        self._console = Console(highlight=False, soft_wrap=True, quiet=quiet)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._engine: Engine | None = None
        self._trouble: str | None = None

    def say(self, text: str) -> None:
        with suppress(OSError):  # a full disk, say, which must not end the desk
            self._log.write(stamped(text, datetime.now(UTC)))
        with suppress(*_UNWRITABLE):
            self._console.print(Text(f"{datetime.now().astimezone():%H:%M:%S} {text}"))

    def watch_missions(self, engine: Engine) -> None:
        """Does nothing where stdout is no terminal."""
        if self._console.is_terminal:
            self._engine = engine
            self._live.start()

    def refresh(self) -> None:
        """Raises nothing: trouble with the table is said once, and stands in its place while it lasts."""
        if self._engine is None:
            return
        now = datetime.now(UTC)
        try:
            self._live.update(mission_table(mission_lines(self._engine, now), now), refresh=True)
            self._trouble = None
        except _UNWRITABLE as error:
            self._engine = None
            self.say(f"the Missions are no longer shown: {error}")
        except Exception as error:
            self._show_trouble(error)

    def _show_trouble(self, error: Exception) -> None:
        told = str(error) if isinstance(error, MissiondeskError) else f"{type(error).__name__}: {error}"
        trouble = f"the Missions can't be shown: {told}"
        with suppress(*_UNWRITABLE):
            self._live.update(Text(trouble, "red"), refresh=True)
        if trouble != self._trouble:
            self._trouble = trouble
            self.say(trouble)

    def end(self) -> None:
        """Lines go on after the table is gone."""
        if self._engine is not None:
            self._engine = None
            with suppress(*_UNWRITABLE):
                self._live.stop()
