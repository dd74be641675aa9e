"""`desk.json` in the desk's home: where a running desk can be reached, and which processes it is made of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psutil
from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr, ValidationError, field_serializer

from missiondesk.settings import Settings

# The clock that dates a process's start may be set while it runs; no pid comes round again that fast.
_SAME_START_SECONDS = 2.0


class ProcessIdentity(BaseModel):
    """A process, told from a later one with the same pid by its start (seconds since 1970)."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        return cls(pid=process.pid, started=process.create_time())

    def process(self) -> psutil.Process | None:
        """The process itself while it runs; None once it has ended, zombie or gone."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _SAME_START_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


class DeskFile(BaseModel):
    """Written by the desk's own process alone. `parts` holds the processes by the name of their part.

    `options` are the words of the command line after `missiondesk up`; `is_up`: all parts have come up.
    """

    model_config = ConfigDict(frozen=True)

    desk: ProcessIdentity
    started_at: AwareDatetime
    database_url: SecretStr
    prefect_api_url: str | None = None
    console_url: str | None = None
    exchange: str | None = None
    exchange_url: str | None = None
    feed_markets: tuple[str, ...] = ()
    parts: Mapping[str, ProcessIdentity] = {}
    options: tuple[str, ...] = ()
    is_up: bool = False

    @field_serializer("database_url")
    def _with_its_password(self, url: SecretStr) -> str:
        return url.get_secret_value()

    def write(self, home: Path) -> None:
        """Replace the file at once (0600), so that a reader never sees half of it."""
        path = _path(home)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self.model_dump_json(indent=2))
        draft.replace(path)

    def is_running(self) -> bool:
        return self.desk.process() is not None


def read_desk_file(home: Path) -> DeskFile | None:
    """What the last desk in `home` wrote, running or not; None when nothing readable is there."""
    try:
        return DeskFile.model_validate_json(_path(home).read_bytes())
    except (OSError, ValidationError):
        return None


def running_desk(home: Path) -> DeskFile | None:
    """The desk that runs in `home` now, or None."""
    desk = read_desk_file(home)
    return desk if desk is not None and desk.is_running() else None


def remove_desk_file(home: Path) -> None:
    _path(home).unlink(missing_ok=True)


def exports(settings: Settings) -> dict[str, str]:
    """The environment variables with which another program works with this home's desk."""
    found = {
        "MISSIONDESK_HOME": str(settings.home),
        "MISSIONDESK_DATABASE_URL": settings.database_url.get_secret_value(),
    }
    desk = running_desk(settings.home)
    if desk is not None:
        known = {
            "MISSIONDESK_DATABASE_URL": desk.database_url.get_secret_value(),
            "MISSIONDESK_EXCHANGE": desk.exchange,
            "MISSIONDESK_EXCHANGE_URL": desk.exchange_url,
            "MISSIONDESK_FEED_MARKETS": ",".join(desk.feed_markets) or None,
            "PREFECT_API_URL": desk.prefect_api_url,
        }
        found |= {name: value for name, value in known.items() if value is not None}
    return found


def settings_with_desk(environ: Mapping[str, str] = os.environ) -> Settings:
    """What `environ` sets, and for what it leaves out the settings of the desk that runs in its home."""
    given = {name: value for name, value in environ.items() if value}
    return Settings.load({**exports(Settings.load(environ)), **given})


def join_desk() -> Settings:
    """Give this process's environment what it leaves out and the running desk knows, for Prefect too."""
    for name, value in exports(Settings.load()).items():
        if not os.environ.get(name):
            os.environ[name] = value
    return Settings.load()


def _path(home: Path) -> Path:
    return home / "desk.json"
