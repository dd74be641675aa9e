"""Templates read the desk's tables while these are fresh, and say so; otherwise they ask the exchange."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from missiondesk.market.candles import Candles, to_datetime
from missiondesk.market.indicators import indicator, value_at
from missiondesk.refresh.calculation import calculate
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import STEPS
from missiondesk.refresh.stored_markets import StoredMarkets
from missiondesk.store.database import connect, transaction
from missiondesk.store.market.candles import write_candles
from missiondesk.store.market.series import keep_series
from missiondesk.templates.run import try_template
from models.result import Verdict
from tests.template_ports import FileMarkets, TemplateDesk, recorded, task_of

HOUR = timedelta(hours=1)


class NoMarkets(FileMarkets):
    """An exchange that must not be asked."""

    def closed_candles(
        self, exchange: str, symbol: str, timeframe: str, count: int, now: datetime
    ) -> Candles:
        raise AssertionError(f"asked for {count} {timeframe} candles of {symbol}")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def ether(shared_data: Path) -> Candles:
    return recorded(shared_data / "ohlcv/kraken/ETH-USD_1h.csv.gz", "1h", "ETH/USD")[-1200:]


@pytest.fixture
def stored(engine: Engine, ether: Candles) -> Candles:
    """What is in the tables: all but the last two candles."""
    settings = RefreshSettings(symbols=("ETH/USD",), intervals=("1h",))
    [series] = keep_series(engine, "kraken", settings.symbols, settings.intervals)
    with transaction(engine) as connection:
        write_candles(connection, [(series, ether[:-2])])
    for step in STEPS[1:]:
        calculate(engine, step, [series], settings)
    return ether[:-2]


def tried(engine: Engine, live: FileMarkets, now: datetime, template: str, **params: Any) -> Verdict:
    desk = TemplateDesk(StoredMarkets(engine, live))
    return try_template(
        desk.context(now), task_of(template, {"symbol": "ETH/USD", "timeframe": "1h", **params})
    )


def row(engine: Engine, table: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(f"SELECT * FROM {table} ORDER BY open_time DESC LIMIT 1")).one()  # noqa: S608


def test_fresh_tables_are_read_and_nobody_is_asked(engine: Engine, stored: Candles) -> None:
    now = to_datetime(int(stored.open_time[-1])) + HOUR + timedelta(minutes=30)
    regime, signal = row(engine, "market_regime"), row(engine, "trading_signal")
    live = NoMarkets({})
    verdict = tried(engine, live, now, "regime_is", regime=regime.regime)
    assert verdict.passed
    assert (verdict.msg_args["adx"], verdict.msg_args["inside"]) == (regime.adx, regime.in_channel_percent)
    assert f"from the table: kraken:ETH/USD 1h, candle {now - 1.5 * HOUR:%Y-%m-%dT%H:%MZ}" in verdict.msg
    found = tried(engine, live, now, "signal_is", signal=signal.action)
    assert found.passed and found.msg_args["confidence"] == signal.confidence
    assert found.msg_args["reason"] == signal.reasons[0]
    rsi = tried(engine, live, now, "rsi_below", value=100)
    assert rsi.passed
    assert tried(engine, live, now, "ema_channel_breakout").rule == "EMA_CHANNEL_BREAKOUT"


def test_stale_tables_are_left_and_the_message_says_how_old_they_are(
    engine: Engine, ether: Candles, stored: Candles
) -> None:
    now = to_datetime(int(ether.open_time[-1])) + HOUR
    live = FileMarkets({("kraken", "ETH/USD", "1h"): ether})
    for template, params in (("regime_is", {"regime": "trending"}), ("signal_is", {"signal": "buy"})):
        verdict = tried(engine, live, now, template, **params)
        assert "computed on the fly: kraken:ETH/USD 1h" in verdict.msg
        newest = to_datetime(int(stored.open_time[-1]))
        assert f"the table is stale, its newest candle is {newest:%Y-%m-%dT%H:%MZ}" in verdict.msg
    close = tried(engine, live, now, "compare", left={"indicator": "close"}, op=">", right=0)
    assert f"candle {now - HOUR:%Y-%m-%dT%H:%MZ}" in close.msg


def test_more_candles_than_are_stored_come_from_the_exchange(
    engine: Engine, ether: Candles, stored: Candles
) -> None:
    now = to_datetime(int(stored.open_time[-1])) + HOUR
    markets = StoredMarkets(engine, FileMarkets({("kraken", "ETH/USD", "1h"): ether}))
    with engine.connect() as connection:
        connection.execute(
            text("DELETE FROM candle WHERE open_time < (SELECT max(open_time) - interval '2 d' FROM candle)")
        )
    few = markets.closed_candles("kraken", "ETH/USD", "1h", 20, now)
    many = markets.closed_candles("kraken", "ETH/USD", "1h", 100, now)
    assert (len(few), len(many)) == (20, 100)
    assert few.close.tolist() == many.close[-20:].tolist()
    rsi = indicator("rsi", {"length": 14})
    assert value_at(many, rsi) == pytest.approx(value_at(ether[-102:-2], rsi))


def test_what_is_not_known_at_the_time_is_not_read(engine: Engine, stored: Candles) -> None:
    markets = StoredMarkets(engine, NoMarkets({}))
    earlier = to_datetime(int(stored.open_time[-5])) + HOUR
    state = markets.stored_state("kraken", "ETH/USD", "1h", earlier)
    assert state is not None and state.fresh
    assert state.opened == to_datetime(int(stored.open_time[-5]))
    assert (
        markets.closed_candles("kraken", "ETH/USD", "1h", 10, earlier).open_time[-1] == stored.open_time[-5]
    )
    assert markets.stored_state("kraken", "BTC/USD", "1h", earlier) is None
    assert markets.stored_state("kraken", "ETH/USD", "1h", datetime(2010, 1, 1, tzinfo=UTC)) is None
