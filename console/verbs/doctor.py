"""`missiondesk doctor`: every part is looked at, and what is wrong comes with what to do."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click

from console.desk import prefect_api
from console.desk.desk import WORK_POOL
from console.desk.exchange_choice import KRAKEN_CLOCK, answers
from console.mission_lines import mission_lines
from console.verbs.database import open_database
from console.verbs.sync import refuse_without_prefect
from missiondesk.desk_file import DeskFile, running_desk
from missiondesk.settings import ExchangeChoice, Settings
from missiondesk.store import migrate
from missiondesk.store.administration import without_password
from models.errors import MissiondeskError

_LEAST_FREE_BYTES = 1_000_000_000
_SILENT_WORKER = timedelta(minutes=2)


@dataclass(frozen=True)
class Finding:
    """`remedy` is None when all is well."""

    part: str
    seen: str
    remedy: str | None = None


class Wrong(Exception):
    """What was seen, and what to do about it."""

    def __init__(self, seen: str, remedy: str) -> None:
        super().__init__(seen)
        self.seen, self.remedy = seen, remedy


def examine(settings: Settings) -> bool:
    """Print one line a part as it is looked at; whether all is well."""
    well = True
    for finding in _findings(settings):
        click.echo(f"{'ok ' if finding.remedy is None else '!! '} {finding.part:<12} {finding.seen}")
        if finding.remedy is not None:
            click.echo(f"{'':<16} → {finding.remedy}")
            well = False
    return well


def _findings(settings: Settings) -> Iterator[Finding]:
    desk = running_desk(settings.home)
    yield _look("libraries", _libraries)
    yield _look("home", lambda: _home(settings))
    yield _look("desk", lambda: _desk(settings, desk))
    yield _look("database", lambda: _database(settings))
    yield _look("Missions", lambda: _missions(settings))
    yield _look("exchange", lambda: _exchange(settings))
    if desk is not None:
        yield _look("Prefect", lambda: _prefect(desk))
        yield _look("worker", lambda: _worker(desk))
        yield _look("schedules", lambda: _schedules(settings))


def _look(part: str, at: Callable[[], str]) -> Finding:
    try:
        return Finding(part, at())
    except Wrong as wrong:
        return Finding(part, wrong.seen, wrong.remedy)
    except Exception as error:  # whatever is wrong with one part, the others are looked at too
        seen = str(error) if isinstance(error, MissiondeskError) else f"{type(error).__name__}: {error}"
        return Finding(part, seen, "see the logs in the desk's home; `missiondesk up` starts what is missing")


def _libraries() -> str:
    versions = {name: importlib.metadata.version(name) for name in ("prefect", "sqlalchemy", "ccxt")}
    if not versions["sqlalchemy"].startswith("2.0."):
        raise Wrong(
            f"sqlalchemy {versions['sqlalchemy']} silently stops Prefect's scheduler",
            "install what requirements.lock names",
        )
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _home(settings: Settings) -> str:
    free = shutil.disk_usage(settings.home).free
    if free < _LEAST_FREE_BYTES:
        raise Wrong(f"{settings.home} has {free / 1e6:.0f} MB left", "make room on that disk")
    if settings.home.stat().st_mode & 0o077:
        raise Wrong(f"others can look into {settings.home}", f"chmod 700 {settings.home}")
    return f"{settings.home}, {free / 1e9:.0f} GB free"


def _desk(settings: Settings, desk: DeskFile | None) -> str:
    if desk is None:
        raise Wrong(f"no desk runs in {settings.home}", "start it with `missiondesk up`")
    dead = [name for name, part in desk.parts.items() if part.process() is None]
    if dead:
        raise Wrong(
            f"{', '.join(dead)} has ended",
            f"`up` starts it again; see {settings.home}/logs/{dead[0]}.log if not",
        )
    return f"up since {desk.started_at:%Y-%m-%d %H:%M} UTC, {len(desk.parts)} parts run"


def _database(settings: Settings) -> str:
    url = settings.database_url.get_secret_value()
    present, newest = migrate.current(url), migrate.head()
    if present != newest:
        raise Wrong(
            f"the database is at revision {present}, expected {newest}", "`missiondesk up` migrates it"
        )
    return f"{without_password(url)}, revision {present}"


def _missions(settings: Settings) -> str:
    lines = mission_lines(open_database(settings), datetime.now(UTC))
    problems = [line.problem for line in lines if line.problem is not None]
    if problems:
        raise Wrong("\n".join(problems), "correct these rows; the other Missions go on")
    return f"{len(lines)}, {sum(line.enabled for line in lines)} of them enabled"


def _exchange(settings: Settings) -> str:
    if settings.exchange is ExchangeChoice.SANDBOX:
        if settings.exchange_url is None or not answers(f"{settings.exchange_url}/0/public/Time", seconds=5):
            raise Wrong("the sandbox does not answer", "`missiondesk up` starts it")
        return f"the sandbox at {settings.exchange_url}"
    if not answers(KRAKEN_CLOCK, seconds=5):
        raise Wrong(
            "Kraken can't be reached", "check the network, or use `missiondesk up --exchange sandbox`"
        )
    return "Kraken answers"


def _prefect(desk: DeskFile) -> str:
    if desk.prefect_api_url is None or not answers(f"{desk.prefect_api_url}/health", seconds=5):
        raise Wrong("Prefect's server does not answer", "see logs/prefect.log in the desk's home")
    pool = prefect_api.work_pool_type(desk.prefect_api_url, WORK_POOL)
    if pool != "prefork":
        raise Wrong(
            f"the work pool {WORK_POOL} is of type {pool}, expected prefork",
            f"`prefect work-pool delete {WORK_POOL}`, then start the desk again",
        )
    return desk.prefect_api_url


def _worker(desk: DeskFile) -> str:
    if desk.prefect_api_url is None:
        raise Wrong("not up yet", "wait for `missiondesk up`")
    since = datetime.now(UTC) - _SILENT_WORKER
    workers = prefect_api.workers_since(desk.prefect_api_url, WORK_POOL, since)
    if not workers:
        raise Wrong("no worker has reported for two minutes", "see logs/worker.log in the desk's home")
    return ", ".join(sorted(workers))


def _schedules(settings: Settings) -> str:
    refuse_without_prefect(settings)
    from deployments.sync import sync

    synced = sync(open_database(settings), plan_only=True)
    if synced.changes:
        raise Wrong(f"Prefect is not in line with the tables:\n{synced}", "`missiondesk sync`")
    return "as the tables have them"
