"""Stored candles: corrected in place, their gaps found and filled, higher intervals put together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from missiondesk.market.candles import Candles, to_datetime, to_milliseconds
from missiondesk.refresh.calculation import calculate
from missiondesk.refresh.fetch import fetch_market
from missiondesk.refresh.pace import PacedMarket
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import STEPS, Step
from missiondesk.store.database import connect, transaction
from missiondesk.store.market.candles import newest_candles, read_candles, write_candles
from missiondesk.store.market.gaps import GapStatus, list_gaps
from missiondesk.store.market.progress import last_seen
from missiondesk.store.market.series import Series, keep_series
from missiondesk.store.market.signals import expire_signals
from models.market import Trade
from tests.candle_tape import CandleTape
from tests.hour_by_hour import TABLES, contents

HOUR = 3_600_000
START = to_milliseconds(datetime(2026, 1, 1, tzinfo=UTC))
ONE = RefreshSettings(symbols=("X/USD",), intervals=("1h",))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


def walk(count: int, seed: int = 0, first: int = START) -> Candles:
    chance = np.random.default_rng(seed)
    close = np.round(np.exp(np.cumsum(chance.normal(0, 0.01, count))) * 100, 2)
    opening = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opening, close) + 0.5, np.minimum(opening, close) - 0.5
    times = first + np.arange(count) * HOUR
    return Candles(times, opening, high, low, close, np.round(chance.exponential(9, count), 4), "1h", "X/USD")


def one_series(engine: Engine) -> Series:
    return keep_series(engine, "tape", ONE.symbols, ONE.intervals)[0]


def store(engine: Engine, series: Series, candles: Candles) -> dict[str, int]:
    with transaction(engine) as connection:
        written = write_candles(connection, [(series, candles)]).get(series.id)
    return {"inserted": written.inserted, "updated": written.updated} if written else {}


def at(candles: Candles, place: int, close: float) -> Candles:
    """The one candle there, with another close."""
    part = candles[place : place + 1]
    return Candles(
        part.open_time, part.open, part.high, part.low, np.array([close]), part.volume, "1h", "X/USD"
    )


def test_what_is_stored_comes_back_to_the_bit(engine: Engine) -> None:
    series, candles = one_series(engine), walk(50)
    assert store(engine, series, candles) == {"inserted": 50, "updated": 0}
    with engine.connect() as connection:
        [found] = read_candles(connection, [series])
        newest = newest_candles(connection, series, 5, int(candles.open_time[40]))
    for name in ("open_time", "open", "high", "low", "close", "volume"):
        assert (getattr(found, name) == getattr(candles, name)).all()
    assert newest.open_time.tolist() == candles.open_time[36:41].tolist()


def test_writing_again_changes_nothing_and_a_correction_one_row(engine: Engine) -> None:
    series, candles = one_series(engine), walk(50)
    store(engine, series, candles)
    assert store(engine, series, candles) == {}
    assert store(engine, series, at(candles, 10, 1.0)) == {"inserted": 0, "updated": 1}


def test_a_correction_lets_the_steps_begin_anew_and_a_new_candle_does_not(engine: Engine) -> None:
    series, candles = one_series(engine), walk(100)
    store(engine, series, candles[:90])
    calculate(engine, Step.INDICATORS, [series], ONE)
    store(engine, series, candles[90:])
    with engine.connect() as connection:
        assert last_seen(connection, [series.id])
    store(engine, series, at(candles, 10, 1.0))
    with engine.connect() as connection:
        assert not last_seen(connection, [series.id])


def gaps_of(engine: Engine, series: Series) -> list[tuple[int, int]]:
    return [((gap.first - START) // HOUR, (gap.last - START) // HOUR) for gap in list_gaps(engine, [series])]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.booleans(), st.sets(st.integers(0, 40), min_size=1, max_size=12)),
        min_size=1,
        max_size=9,
    )
)
def test_gaps_are_what_is_absent_in_whatever_order_candles_come(
    engine: Engine, arrivals: list[tuple[bool, set[int]]]
) -> None:
    """Whether steps have seen what came before or not."""
    with engine.connect() as connection:
        connection.execute(text("TRUNCATE series, candle, candle_gap, series_state"))
    series, candles = one_series(engine), walk(41)
    there: set[int] = set()
    for calculated, places in arrivals:
        store(engine, series, candles[np.isin(np.arange(41), list(places))])
        there |= places
        if calculated:
            calculate(engine, Step.INDICATORS, [series], ONE)
            # The one candle that follows all others.
            following = min(max(there) + 1, 40)
            store(engine, series, candles[following : following + 1])
            there.add(following)
    absent = [place for place in range(min(there), max(there)) if place not in there]
    found = [place for first, last in gaps_of(engine, series) for place in range(first, last + 1)]
    assert found == absent
    assert all(first - 1 in there and last + 1 in there for first, last in gaps_of(engine, series))


def tape(candles: Candles, intervals: tuple[str, ...] = ("1h",)) -> CandleTape:
    played = CandleTape({"X/USD": candles}, intervals)
    played.now = int(candles.open_time[-1]) + HOUR + 1
    return played


def fetch(engine: Engine, market: CandleTape, settings: RefreshSettings = ONE):
    series = keep_series(engine, "tape", settings.symbols, settings.intervals)
    return fetch_market(engine, market, series, to_datetime(market.now), settings)


def test_hours_without_trades_are_listed_as_such(engine: Engine) -> None:
    whole = walk(60)
    market = tape(whole[np.isin(np.arange(60), [20, 21, 40], invert=True)])
    fetched = fetch(engine, market)
    assert fetched.gaps == {GapStatus.NEW: 0, GapStatus.UNTRADED: 3, GapStatus.OUT_OF_REACH: 0}
    assert len(market.requests) == 1


def test_a_gap_that_the_exchange_still_has_is_filled(engine: Engine) -> None:
    whole, series = walk(60), one_series(engine)
    store(engine, series, whole[:10])
    store(engine, series, whole[20:30])
    fetched = fetch(engine, tape(whole))
    assert fetched.inserted == 40
    assert gaps_of(engine, series) == []


def test_gaps_that_another_fetch_settles_meanwhile_are_left_alone(engine: Engine) -> None:
    whole = walk(60)
    both = RefreshSettings(symbols=("X/USD",), intervals=("1h", "4h"))
    market, other = tape(whole, both.intervals), tape(whole, both.intervals)
    series = keep_series(engine, "tape", both.symbols, both.intervals)
    for each in series:
        found = market.whole("X/USD", each.interval)
        store(engine, each, found[:1])
        store(engine, each, found[2:8])

    def answer(*asked: Any, **more: Any) -> Candles:
        if len(market.requests) == len(series):
            fetch(engine, other, both)
        return CandleTape.candles(market, *asked, **more)

    market.candles = answer  # type: ignore[method-assign]
    fetch(engine, market, both)
    assert len(other.requests) > 0
    assert list_gaps(engine, series) == []


def hourly_trades(first: int, last: int) -> list[Trade]:
    moment = to_datetime(START) + timedelta(minutes=30)
    return [
        Trade("X/USD", "buy", Decimal(100 + hour), Decimal("0.5"), moment + timedelta(hours=hour), str(hour))
        for hour in range(first, last + 1)
        if hour != 12
    ]


def test_what_is_older_than_the_window_comes_from_trades(engine: Engine) -> None:
    whole, series = walk(900), one_series(engine)
    store(engine, series, whole[:10])
    market = tape(whole)
    market.trades_of["X/USD"] = hourly_trades(0, 200)
    fetched = fetch(engine, market)
    # The window begins at 180; trades give all before it but for one hour in which nothing traded.
    assert gaps_of(engine, series) == [(12, 12)]
    assert fetched.gaps is not None and fetched.gaps[GapStatus.UNTRADED] == 1
    with engine.connect() as connection:
        [found] = read_candles(connection, [series])
        made = connection.execute(text("SELECT count(*) FROM candle WHERE source = 'trades'")).scalar_one()
    assert made == 169
    place = int(np.searchsorted(found.open_time, START + 15 * HOUR))
    assert (found.close[place], found.volume[place]) == (115.0, 0.5)


BOTH = RefreshSettings(symbols=("X/USD",), intervals=("1h", "4h"))


def sources(engine: Engine, series: Series) -> list[tuple[str, int]]:
    counted = text(
        "SELECT source, count(*) FROM candle WHERE series_id = :id GROUP BY source ORDER BY source"
    )
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(counted, {"id": series.id})]


def test_higher_candles_are_put_together_from_what_filled_the_gaps_of_lower_ones(engine: Engine) -> None:
    """One of them lacks an hour in which nothing traded, as only the search for trades can tell."""
    whole = walk(900)
    hourly, four = keep_series(engine, "tape", BOTH.symbols, BOTH.intervals)
    store(engine, hourly, whole[:10])
    market = tape(whole)
    market.trades_of["X/USD"] = hourly_trades(0, 200)
    fetched = fetch(engine, market, BOTH)
    assert fetched.gaps == {GapStatus.NEW: 0, GapStatus.UNTRADED: 1, GapStatus.OUT_OF_REACH: 0}
    assert sources(engine, four) == [("lower", 225)]
    assert market.requests.count(("X/USD", "trades")) == 1


def test_higher_candles_that_a_fetch_cut_off_has_left_out_are_put_together(engine: Engine) -> None:
    market = tape(walk(100))
    hourly, four = keep_series(engine, "tape", BOTH.symbols, BOTH.intervals)
    fetch(engine, market, BOTH)
    wanted = sources(engine, four)
    newer = "DELETE FROM candle WHERE series_id = :id AND open_time > to_timestamp(:time)"
    inside = "DELETE FROM candle WHERE series_id = :id AND open_time = to_timestamp(:time)"
    noted = (
        "INSERT INTO candle_gap (series_id, first_open_time, last_open_time)"
        " VALUES (:id, to_timestamp(:time), to_timestamp(:time))"
    )
    for cut_off in ([newer], [inside, noted]):
        with engine.connect() as connection:
            for statement in cut_off:
                connection.execute(text(statement), {"id": four.id, "time": (START + 40 * HOUR) / 1000})
        fetch(engine, market, BOTH)
        assert sources(engine, four) == wanted
        assert list_gaps(engine, [hourly, four]) == []


def test_pages_of_trades_are_for_all_gaps_of_a_series(engine: Engine) -> None:
    whole, series = walk(900), one_series(engine)
    store(engine, series, whole[:10])
    store(engine, series, whole[100:110])
    trades = tape(whole)
    trades.trades_of["X/USD"] = [
        replace(trade, id=f"{trade.id}-{part}") for trade in hourly_trades(0, 200) for part in range(50)
    ]
    left = []
    for _ in range(6):
        asked = len(trades.requests)
        found = fetch(engine, trades, ONE.model_copy(update={"trade_pages": 3}))
        assert trades.requests[asked:].count(("X/USD", "trades")) <= 3
        assert found.gaps is not None and found.gaps[GapStatus.OUT_OF_REACH] == 0
        left.append(found.gaps[GapStatus.NEW])
    assert left == sorted(left, reverse=True) and left[0] > left[-1] == 0
    assert gaps_of(engine, series) == [(12, 12)]


def test_what_nobody_has_any_more_is_listed_as_out_of_reach(engine: Engine) -> None:
    whole, series = walk(900), one_series(engine)
    store(engine, series, whole[:10])
    fetched = fetch(engine, tape(whole))
    assert fetched.gaps is not None and fetched.gaps[GapStatus.OUT_OF_REACH] == 170
    market = tape(whole)
    fetch(engine, market)
    assert market.requests == []


def test_a_higher_interval_that_is_not_served_is_put_together(engine: Engine) -> None:
    whole = walk(200)
    both = RefreshSettings(symbols=("X/USD",), intervals=("1h", "4h", "1d"))
    market = tape(whole)
    fetch(engine, market, both)
    hourly, four, day = keep_series(engine, "tape", both.symbols, both.intervals)
    with engine.connect() as connection:
        of_four, of_day = read_candles(connection, [four, day])
    reference = CandleTape({"X/USD": whole}, both.intervals)
    for found, interval, count in ((of_four, "4h", 50), (of_day, "1d", 8)):
        wanted = reference.whole("X/USD", interval)[:count]
        assert len(found) == count
        for name in ("open_time", "open", "high", "low", "close", "volume"):
            assert (getattr(found, name) == getattr(wanted, name)).all()
    assert hourly.interval == "1h"


def test_a_higher_interval_that_came_later_is_put_together_from_all_there_is(engine: Engine) -> None:
    whole = walk(2000)
    both = RefreshSettings(symbols=("X/USD",), intervals=("1h", "4h"))
    store(engine, one_series(engine), whole[:1900])
    market = CandleTape({"X/USD": whole}, both.intervals)
    market.now = int(whole.open_time[-1]) + HOUR
    few = both.model_copy(update={"first_candles": 100})
    series = keep_series(engine, "tape", both.symbols, both.intervals)
    for _ in range(2):
        fetch_market(engine, market, series, to_datetime(market.now), few)
        with engine.connect() as connection:
            [four] = read_candles(connection, series[1:])
        wanted = market.whole("X/USD", "4h").closed_at(to_datetime(market.now))
        assert four.open_time.tolist() == wanted.open_time.tolist()
        assert (four.close == wanted.close).all()


@pytest.mark.parametrize(
    ("intervals", "served"),
    [(("1h", "6h", "8h"), ("1h",)), (("6h", "8h"), ("6h", "8h")), (("1d", "3d", "1w"), ("1d", "3d"))],
)
def test_a_higher_interval_is_put_together_from_the_nearest_that_fits(
    engine: Engine, intervals: tuple[str, ...], served: tuple[str, ...]
) -> None:
    whole, wanted = walk(24 * 21), RefreshSettings(symbols=("X/USD",), intervals=intervals)
    fetch(engine, tape(whole, served), wanted)
    series = keep_series(engine, "tape", wanted.symbols, intervals)
    with engine.connect() as connection:
        found = read_candles(connection, series)
    assert all(len(each) for each in found)
    reference = CandleTape({"X/USD": whole}, ("8h",)).whole("X/USD", "8h")
    assert intervals[1] != "6h" or (found[2].close == reference.close).all()


def test_an_unknown_symbol_is_skipped_with_a_note(engine: Engine) -> None:
    other = RefreshSettings(symbols=("Y/USD",), intervals=("1h",))
    fetched = fetch(engine, tape(walk(5)), other)
    assert "unknown symbol of the tape 'Y/USD'" in fetched.note


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.lists(st.integers(1, 200), min_size=1, max_size=5))
def test_calculating_again_or_from_the_beginning_changes_nothing(
    engine: Engine, seed: int, cuts: list[int]
) -> None:
    with engine.connect() as connection:
        for table in (*TABLES, "series", "series_state"):
            connection.execute(text(f"TRUNCATE {table}"))
    series, candles = one_series(engine), walk(200, seed)
    for end in [*sorted(cuts), 200]:
        store(engine, series, candles[:end])
        for step in STEPS[1:]:
            calculate(engine, step, [series], ONE)
    once = {table: contents(engine, table) for table in TABLES}
    with engine.connect() as connection:
        active = connection.execute(
            text("SELECT DISTINCT action, strategy FROM trading_signal WHERE status = 'active'")
        ).all()
    assert len(active) <= 1
    for step in STEPS[1:]:
        assert calculate(engine, step, [series], ONE).inserted == 0
    assert {table: contents(engine, table) for table in TABLES} == once
    with engine.connect() as connection:
        connection.execute(text("DELETE FROM series_state"))
    for step in STEPS[1:]:
        calculated = calculate(engine, step, [series], ONE)
        assert (calculated.inserted, calculated.updated) == (0, 0)
    assert {table: contents(engine, table) for table in TABLES} == once


def test_other_thresholds_decide_everything_anew(engine: Engine) -> None:
    series, candles = one_series(engine), walk(201)
    store(engine, series, candles[:200])
    for step in STEPS[1:]:
        calculate(engine, step, [series], ONE)
    strict = RefreshSettings.model_validate(
        {"symbols": ["X/USD"], "intervals": ["1h"], "regime": {"otherwise_trending_above_adx": 99}}
    )
    store(engine, series, candles[200:])
    for step in STEPS[1:]:
        calculate(engine, step, [series], strict)
    with engine.connect() as connection:
        wrong = connection.execute(
            text(
                "SELECT count(*) FROM market_regime WHERE regime = 'trending'"
                " AND NOT (adx > 25 AND in_channel_percent < 55)"
            )
        ).scalar_one()
        doubled = connection.execute(
            text("SELECT count(*) - count(DISTINCT open_time) FROM trading_signal")
        ).scalar_one()
    assert (wrong, doubled) == (0, 0)


def test_signals_wait_for_regimes_of_the_thresholds_that_are_set(engine: Engine) -> None:
    series, candles = one_series(engine), walk(200)
    store(engine, series, candles)
    for step in STEPS[1:]:
        calculate(engine, step, [series], ONE)
    before = contents(engine, "trading_signal")
    trending = {"trending_above_adx": 0, "trending_below_percent": 101}
    others = RefreshSettings.model_validate({"symbols": ["X/USD"], "intervals": ["1h"], "regime": trending})
    assert calculate(engine, Step.SIGNALS, [series], others).series == 0
    assert contents(engine, "trading_signal") == before
    for step in (Step.MARKET_REGIME, Step.SIGNALS):
        assert calculate(engine, step, [series], others).series == 1
    with engine.connect() as connection:
        strategies = connection.scalars(text("SELECT DISTINCT strategy FROM trading_signal")).all()
    assert strategies == ["trend_follow"]


def test_signals_of_markets_that_are_refreshed_no_longer_expire(engine: Engine) -> None:
    series = one_series(engine)
    store(engine, series, walk(200))
    for step in STEPS[1:]:
        calculate(engine, step, [series], ONE)
    with engine.connect() as connection:
        assert expire_signals(connection, [series.id]) == 0
        assert expire_signals(connection, [series.id + 1]) >= 1
        active = connection.execute(text("SELECT count(*) FROM trading_signal WHERE status = 'active'"))
        assert active.scalar_one() == 0


def test_what_people_have_cancelled_stays_so(engine: Engine) -> None:
    series, candles = one_series(engine), walk(200)
    store(engine, series, candles[:199])
    for step in STEPS[1:]:
        calculate(engine, step, [series], ONE)
    with engine.connect() as connection:
        changed = connection.execute(
            text("UPDATE trading_signal SET status = 'cancelled' WHERE status = 'active' RETURNING id")
        )
        cancelled = {row.id for row in changed}
    store(engine, series, candles[199:])
    store(engine, series, at(candles, 100, 60.0))
    for step in STEPS[1:]:
        calculate(engine, step, [series], ONE)
    with engine.connect() as connection:
        still = connection.execute(text("SELECT id FROM trading_signal WHERE status = 'cancelled'"))
        assert cancelled and {row.id for row in still} == cancelled


def test_requests_of_all_processes_keep_one_pace(engine: Engine, database_url: str) -> None:
    waits: list[float] = []
    other = connect(database_url)
    second = timedelta(seconds=1)
    markets = [PacedMarket(tape(walk(3)), each, second, waits.append) for each in (engine, other)]
    for market in (*markets, *markets):
        market.candles("X/USD", "1h", since=None, limit=1)
    other.dispose()
    # Nobody slept, so the four turns are one, two and three seconds ahead, less the time that passed.
    assert len(waits) == 3
    assert all(turn - 1 < wait <= turn for turn, wait in enumerate(waits, start=1))
