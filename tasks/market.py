"""The work of a refresh: fetch one market, calculate one step, show what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from prefect import Task, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from missiondesk.desk import Desk
from missiondesk.refresh.calculation import Calculated, calculate
from missiondesk.refresh.fetch import Fetched, fetch_market
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import Step
from missiondesk.store.market.series import Series
from missiondesk.store.market.signals import expire_signals
from models.account import Account
from models.errors import RetryLater

BACKOFF_SECONDS: Final = [2.0, 10.0, 30.0]


def _resolves_itself(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Connection trouble is tried again; a wrong setting or a bug is not."""
    try:
        state.result()
    except RetryLater:
        return True
    except Exception:
        return False
    return False


_OPTIONS: Final[dict[str, Any]] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": len(BACKOFF_SECONDS),
    "retry_delay_seconds": BACKOFF_SECONDS,
    "retry_condition_fn": _resolves_itself,
}


@task(task_run_name="fetch {symbol}", **_OPTIONS)
def fetch_symbol(
    desk: Desk,
    account: Account,
    symbol: str,
    series: Sequence[Series],
    now: datetime,
    settings: RefreshSettings,
) -> Fetched:
    """The new closed candles of one symbol in all intervals, from the account's exchange."""
    return fetch_market(desk.engine, desk.market_of(account), series, now, settings)


@task(task_run_name="{step}", **_OPTIONS)
def calculate_step(desk: Desk, step: Step, series: Sequence[Series], settings: RefreshSettings) -> Calculated:
    """One step's rows of every series, up to the newest candles."""
    return calculate(desk.engine, step, series, settings)


@task(**_OPTIONS)
def expire_others(desk: Desk, series: Sequence[Series]) -> int:
    """Expire active signals of markets that are refreshed no longer; how many these were."""
    with desk.engine.connect() as connection:
        return expire_signals(connection, [each.id for each in series])


def show_refresh(reports: Mapping[str, Mapping[str, Any]]) -> None:
    """The table artifact of a run: a row per step."""
    rows = [
        {"step": step, **{name: _shown(value) for name, value in report.items()}}
        for step, report in reports.items()
    ]
    names = list(dict.fromkeys(name for row in rows for name in row))
    create_table_artifact(
        table=[{name: row.get(name, "") for name in names} for row in rows],
        key="market-refresh",
        description="What the newest refresh of market data did: rows fetched, gaps, signals changed.",
    )


def _shown(value: Any) -> str | int | float:
    if isinstance(value, Mapping):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return value  # type: ignore[no-any-return]
