"""The hub's log: lines on the terminal, and in a file that is renewed before it grows too large."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from missiondesk.settings import LogLevel

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LARGEST_BYTES = 10_000_000
KEPT_FILES = 5


def start_logging(level: LogLevel, file: Path, largest_bytes: int = LARGEST_BYTES) -> None:
    """Log from `level` (LOG_LEVEL) on, to stderr and to `file`; five older files are kept as FILE.1 …"""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    rotating = RotatingFileHandler(file, maxBytes=largest_bytes, backupCount=KEPT_FILES, encoding="utf-8")
    logging.basicConfig(level=level, format=FORMAT, handlers=[logging.StreamHandler(), rotating], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
