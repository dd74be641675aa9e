"""The log of a hub that runs by itself: lines on the terminal, and in a file of bounded size."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from console.desk.log_files import RotatingFile, stamped
from missiondesk.settings import Settings

# What a desk's part says is stamped by the desk.
UNSTAMPED = "%(levelname)s %(name)s: %(message)s"
_STAMPED = f"%(asctime)s {UNSTAMPED}"


class LogFile(logging.Handler):
    """Writes into a file like those of the desk's parts, so that `missiondesk logs` reads it with them."""

    def __init__(self, path: Path, settings: Settings) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(UNSTAMPED))
        self._file = RotatingFile(path, settings.log_bytes, settings.log_files)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._file.write(stamped(self.format(record), datetime.fromtimestamp(record.created, UTC)))
        except OSError:
            self.handleError(record)


def start_logging(settings: Settings, file: Path) -> None:
    """Log from LOG_LEVEL on, to stderr and to `file`."""
    handlers = [logging.StreamHandler(sys.stderr), LogFile(file, settings)]
    logging.basicConfig(level=settings.log_level, format=_STAMPED, handlers=handlers, force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
