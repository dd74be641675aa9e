"""Market data: five steps, each a flow of its own, and one flow that runs them in their order.

from flows.market import update_all
update_all()["ohlc"]["inserted"]
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed

from flows.desk import desk_api, desk_of_this_process
from missiondesk.refresh.fetch import Fetched
from missiondesk.refresh.order import (
    WHOLE_SECONDS,
    RefreshFailed,
    hour_of,
    longest_seconds,
    run_step,
)
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import STEPS, Step
from missiondesk.store.market.gaps import GapStatus
from missiondesk.store.market.series import Series, keep_series
from models.account import Account
from models.errors import ExchangeUnreachable, MissiondeskError
from tasks.arguments import untouched
from tasks.market import calculate_step, expire_others, fetch_symbol, show_refresh

Report = dict[str, Any]
Reports = dict[str, Report]

_SECONDS: Final = {step: longest_seconds(step) for step in STEPS}

# The server gives runs of a schedule such keys, whether its own loop or a schedule change made them.
_SCHEDULED_KEY: Final = "scheduled "


@flow(name="fetch_ohlc_data", timeout_seconds=_SECONDS[Step.OHLC], persist_result=False)
def fetch_ohlc_data(at: datetime | None = None) -> State[Reports]:
    """Fetch the candles that closed since the last run. `at`: the instant it is for, now if not given."""
    return _run([Step.OHLC], at)


@flow(name="calculate_indicators", timeout_seconds=_SECONDS[Step.INDICATORS], persist_result=False)
def calculate_indicators(at: datetime | None = None) -> State[Reports]:
    """Indicators of the new candles."""
    return _run([Step.INDICATORS], at)


@flow(name="calculate_ema_channel", timeout_seconds=_SECONDS[Step.EMA_CHANNEL], persist_result=False)
def calculate_ema_channel(at: datetime | None = None) -> State[Reports]:
    """The EMA channel of the new candles."""
    return _run([Step.EMA_CHANNEL], at)


@flow(name="calculate_market_regime", timeout_seconds=_SECONDS[Step.MARKET_REGIME], persist_result=False)
def calculate_market_regime(at: datetime | None = None) -> State[Reports]:
    """The regime at each new candle."""
    return _run([Step.MARKET_REGIME], at)


@flow(name="generate_trading_signals", timeout_seconds=_SECONDS[Step.SIGNALS], persist_result=False)
def generate_trading_signals(at: datetime | None = None) -> State[Reports]:
    """The signal at each new candle; changed ones close those before them."""
    return _run([Step.SIGNALS], at)


@flow(name="update_all", timeout_seconds=WHOLE_SECONDS, persist_result=False)
def update_all_flow(at: datetime | None = None) -> State[Reports]:
    """All five steps in their order; the first that fails is the last that runs."""
    return _run(STEPS, at)


def update_all(at: datetime | None = None) -> Reports:
    """Refresh everything now and wait for it: what each step did, by its name.

    Shows in the running desk's Prefect like a scheduled run. Raises RefreshFailed.
    """
    with desk_api(desk_of_this_process().settings):
        state: State[Any] = update_all_flow(at, return_state=True)
    if state.is_completed():
        reports: Reports = state.result()
        return reports
    raise RefreshFailed(state.message or f"the refresh is {state.name}")


def _run(steps: tuple[Step, ...] | list[Step], at: datetime | None) -> State[Reports]:
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None
    flow_run = context.flow_run
    scheduled = flow_run.auto_scheduled or (flow_run.idempotency_key or "").startswith(_SCHEDULED_KEY)
    due = flow_run.expected_start_time if scheduled else None
    now = at or datetime.now(UTC)
    hour = hour_of(at or due or now)
    reports = Reports()
    for place, step in enumerate(steps):
        work = partial(_step, step, now)
        try:
            reports[step] = run_step(
                desk_of_this_process().engine, str(flow_run.id), step, hour, work, scheduled=scheduled
            )
        except Exception as error:
            problem = str(error) or type(error).__name__
            show_refresh({**reports, step: {"error": problem}})
            left = steps[place + 1 :]
            after = f"; not run: {', '.join(left)}" if left else ""
            return Failed(message=f"{step} failed: {problem}{after}", data=None)
    show_refresh(reports)
    return Completed(message="; ".join(_told(*each) for each in reports.items()), data=reports)


def _step(step: Step, now: datetime) -> Report:
    desk = desk_of_this_process()
    settings = RefreshSettings.load(desk.settings.home)
    account = desk.accounts.get(settings.account) if settings.account else Account(name="market data")
    series = keep_series(desk.engine, desk.exchange_of(account), settings.symbols, settings.intervals)
    if step is Step.OHLC:
        return _fetch(account, series, now, settings)
    calculated = calculate_step(untouched(desk), step, untouched(series), untouched(settings))
    report: Report = {"series": calculated.series, "inserted": calculated.inserted}
    if step is not Step.SIGNALS:
        return {**report, "updated": calculated.updated}
    return {
        **report,
        "changed": calculated.updated,
        "expired": expire_others(untouched(desk), untouched(series)),
    }


def _fetch(account: Account, series: list[Series], now: datetime, settings: RefreshSettings) -> Report:
    """Every symbol is tried, whatever happened to the one before, until the exchange does not answer.

    Raises RefreshFailed with what failed.
    """
    desk = desk_of_this_process()
    fetched: list[Fetched] = []
    failures: list[str] = []
    for place, symbol in enumerate(settings.symbols, 1):
        of_symbol = [each for each in series if each.symbol == symbol]
        try:
            fetched.append(
                fetch_symbol(
                    untouched(desk),
                    untouched(account),
                    symbol,
                    untouched(of_symbol),
                    now,
                    untouched(settings),
                )
            )
        except ExchangeUnreachable as error:
            failures.append(f"{symbol}: {error}")
            if left := settings.symbols[place:]:
                failures.append(f"not tried after that: {', '.join(left)}")
            break
        except MissiondeskError as error:
            failures.append(f"{symbol}: {error}")
    if failures:
        raise RefreshFailed("; ".join(failures))
    return {
        "symbols": sum(not each.note for each in fetched),
        "candles": sum(each.served for each in fetched),
        "inserted": sum(each.inserted for each in fetched),
        "corrected": sum(each.corrected for each in fetched),
        "gaps": {
            str(status): sum((each.gaps or {}).get(status, 0) for each in fetched) for status in GapStatus
        },
        "skipped": [f"{each.symbol}: {each.note}" for each in fetched if each.note],
    }


def _told(step: str, report: Report) -> str:
    return f"{step}: {report['inserted']} new"
