"""Templates read the desk's tables while these are fresh, and say so; otherwise they ask the exchange."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event, text

from missiondesk.desk import Desk
from missiondesk.market.candles import Candles, to_datetime
from missiondesk.market.indicators import indicator, value_at
from missiondesk.market.regime import RegimeSettings
from missiondesk.refresh.calculation import calculate
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.steps import STEPS
from missiondesk.refresh.stored_markets import StoredMarkets
from missiondesk.settings import Settings
from missiondesk.store.database import connect, transaction
from missiondesk.store.market import blocks
from missiondesk.store.market.candles import write_candles
from missiondesk.store.market.series import keep_series
from missiondesk.templates.context import Context
from missiondesk.templates.run import try_template
from missiondesk.templates.source import Source
from missiondesk.templates.stored import stored_columns
from missiondesk.templates.validation import check_task
from missiondesk.ticks.outcome import TickOutcome
from missiondesk.ticks.tick import Run, run_tick
from models.mission import MissionTask
from models.result import Verdict
from tests.template_ports import FileMarkets, TemplateDesk, recorded, task_of

HOUR = timedelta(hours=1)
SOURCE = Source("kraken", "ETH/USD", "1h")
RSI = {"indicator": "rsi", "length": 14}


# Each with an answer of no.
FOUR: dict[str, dict[str, Any]] = {
    "compare": {"left": RSI, "op": ">", "right": 100},
    "ema_channel_breakout": {"direction": "up"},
    "regime_is": {"regime": "trending"},
    "signal_is": {"signal": "sell"},
}


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


@pytest.mark.parametrize("half_an_hour", [0, 1])
def test_bars_that_the_tables_lack_are_stated(engine: Engine, stored: Candles, half_an_hour: int) -> None:
    now, live = closed_now(stored) + half_an_hour * HOUR / 2, NoMarkets({})
    regime = {"template": "regime_is", "regime": "trending"}
    signal = {"template": "signal_is", "signal": "sell"}
    mean = {"template": "volume_above_mean", "length": 20}
    opened = to_datetime(int(stored.open_time[-1]))
    for first, last, in_state, in_mean in (
        (2, 2, 1, 1),
        (15, 24, 11, 6),  # of ten candles five are among the newest twenty
        (715, 724, 16, 6),
        (900, 950, 16, 6),
    ):
        with engine.connect() as connection:
            connection.execute(
                text(
                    "INSERT INTO candle_gap (series_id, first_open_time, last_open_time)"
                    " SELECT id, :first, :last FROM series"
                ),
                {"first": opened - last * HOUR, "last": opened - first * HOUR},
            )
        for params, missing in ((regime, in_state), (signal, in_state), (mean, in_mean)):
            stated = f"{missing} bar{'s' * (missing > 1)} missing"
            assert f"candle {opened:%Y-%m-%dT%H:%MZ}, {stated}" in tried(engine, live, now, **params).msg


def test_a_cancelled_signal_does_not_pass_and_an_active_one_goes_before(
    engine: Engine, stored: Candles
) -> None:
    now, signal, live = closed_now(stored), row(engine, "trading_signal"), NoMarkets({})
    with engine.connect() as connection:
        connection.execute(
            text("UPDATE trading_signal SET status = 'cancelled' WHERE id = :id"), {"id": signal.id}
        )
    refused = tried(engine, live, now, "signal_is", signal=signal.action)
    assert not refused.passed and "cancelled)" in refused.msg
    copy = (
        "INSERT INTO trading_signal (series_id, open_time, strategy, action, size, confidence, status,"
        " reasons, breakdown) SELECT series_id, open_time, :other, action, size, 77, 'active', reasons,"
        " breakdown FROM trading_signal WHERE id = :id"
    )
    other = "mean_reversion" if signal.strategy == "trend_follow" else "trend_follow"
    with engine.connect() as connection:
        connection.execute(text(copy), {"other": other, "id": signal.id})
    found = tried(engine, live, now, "signal_is", signal=signal.action)
    assert found.passed and found.msg_args["confidence"] == 77


def closed_now(candles: Candles) -> datetime:
    """When the newest of these has just closed."""
    return to_datetime(int(candles.open_time[-1])) + HOUR


def said_of(candles: Candles) -> str:
    return f"kraken:ETH/USD 1h, candle {to_datetime(int(candles.open_time[-1])):%Y-%m-%dT%H:%MZ}"


def test_every_stored_value_is_what_would_be_computed(
    engine: Engine, ether: Candles, stored: Candles
) -> None:
    live = TemplateDesk(FileMarkets({("kraken", "ETH/USD", "1h"): ether}))
    now = closed_now(stored)
    for spec in stored_columns():
        operand = {"indicator": spec.name, **dict(spec.parameters)}
        params = {"symbol": "ETH/USD", "timeframe": "1h", "left": operand, "op": "crosses_above", "right": 0}
        read = tried(engine, NoMarkets({}), now, "compare", **params)
        assert read.msg.endswith(f"(from the table: {said_of(stored)})")
        computed = try_template(live.context(now), task_of("compare", params))
        assert computed.msg.endswith(f"({said_of(stored)})")
        for name in ("left", "left_before"):
            wanted = pytest.approx(computed.msg_args[name], rel=1e-6, abs=1e-6)
            assert read.msg_args[name] == wanted, spec.label


def test_offsets_are_counted_in_the_table(engine: Engine, stored: Candles) -> None:
    operand = {"indicator": "close", "offset": 3}
    read = tried(engine, NoMarkets({}), closed_now(stored), "compare", left=operand, op=">", right=0)
    assert read.msg_args["left"] == stored.close[-4]


def test_a_value_that_no_table_has_is_computed_from_stored_candles(engine: Engine, stored: Candles) -> None:
    sma = tried(
        engine,
        NoMarkets({}),
        closed_now(stored),
        "compare",
        left={"indicator": "sma", "length": 50},
        op=">",
        right={"indicator": "close"},
    )
    assert sma.msg_args["left"] == pytest.approx(stored.close[-50:].mean())
    assert sma.msg.endswith(f"({said_of(stored)})")


def test_all_four_compute_when_the_tables_are_stale_and_say_where_these_end(
    engine: Engine, ether: Candles, stored: Candles
) -> None:
    live = FileMarkets({("kraken", "ETH/USD", "1h"): ether})
    remark = f"computed on the fly: {said_of(ether)}; the table is stale, its newest candle is "
    for template, params in FOUR.items():
        verdict = tried(engine, live, closed_now(ether), template, **params)
        assert f"{remark}{to_datetime(int(stored.open_time[-1])):%Y-%m-%dT%H:%MZ})" in verdict.msg, template


def test_candles_that_nothing_is_calculated_of_yet_are_no_table(
    engine: Engine, ether: Candles, stored: Candles
) -> None:
    [series] = keep_series(engine, "kraken", ["ETH/USD"], ["1h"])
    with transaction(engine) as connection:
        write_candles(connection, [(series, ether[-2:-1])])
    now = closed_now(ether[:-1])
    verdict = tried(engine, NoMarkets({}), now, "compare", left=RSI, op="<", right=100)
    said = f"computed on the fly: {said_of(ether[:-1])}; the table lacks some of these values)"
    assert verdict.msg.endswith(said)
    assert verdict.msg_args["left"] == pytest.approx(value_at(ether[:-1], indicator("rsi")))


def test_what_is_computed_keeps_to_the_thresholds_of_the_tables(
    engine: Engine, ether: Candles, stored: Candles
) -> None:
    live = FileMarkets({("kraken", "ETH/USD", "1h"): ether})
    for above, regime in ((-1.0, "trending"), (101.0, "ranging")):
        rules = RegimeSettings(
            trending_above_adx=101, ranging_below_adx=-1, otherwise_trending_above_adx=above
        )
        markets = StoredMarkets(engine, live, lambda rules=rules: RefreshSettings(regime=rules))
        task = task_of("regime_is", {"symbol": "ETH/USD", "timeframe": "1h", "regime": regime})
        assert try_template(TemplateDesk(markets).context(closed_now(ether)), task).passed


@pytest.mark.parametrize("fresh", [True, False])
def test_a_tick_that_ends_at_such_a_no_is_a_few_statements(
    database_url: str, ether: Candles, stored: Candles, fresh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = closed_now(stored if fresh else ether)
    desk = Desk(Settings.load({"MISSIONDESK_DATABASE_URL": database_url}), lambda account: None)
    live = NoMarkets({}) if fresh else FileMarkets({("kraken", "ETH/USD", "1h"): ether})
    desk.__dict__["markets"] = StoredMarkets(desk.engine, live)
    sent: list[str] = []
    event.listen(desk.engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
    copied = blocks.copy_out
    monkeypatch.setattr(blocks, "copy_out", lambda *given: sent.append("COPY") or copied(*given))

    def attempt(task: MissionTask, context: Context) -> Verdict:
        return try_template(context, task)

    def tick(mission: str) -> TickOutcome:
        run = Run(str(uuid4()), now, False)
        return run_tick(desk, mission, run, attempt, clock=lambda: now)

    for template, params in FOUR.items():
        params = {"symbol": "ETH/USD", "timeframe": "1h", **params}
        fields = {"name": template, "template": template, "params": params}
        task = desk.missions.save_task(fields, check_task)
        guard = {"can_run_before_each_task": "always_true"}
        desk.missions.save({"name": template, "task_ids": [task.id], **guard})
        tick(template)
        sent.clear()
        outcome = tick(template)
        assert outcome.ending == "Waiting", outcome
        assert ("from the table" in outcome.message) is fresh
        assert len(sent) <= 6, sent
    desk.engine.dispose()


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
    state = markets.stored_state(SOURCE, 720, earlier)
    assert state is not None and state.fresh
    assert state.opened == to_datetime(int(stored.open_time[-5]))
    assert (
        markets.closed_candles("kraken", "ETH/USD", "1h", 10, earlier).open_time[-1] == stored.open_time[-5]
    )
    assert markets.stored_state(replace(SOURCE, symbol="BTC/USD"), 720, earlier) is None
    assert markets.stored_state(SOURCE, 720, datetime(2010, 1, 1, tzinfo=UTC)) is None
    rsi = indicator("rsi", {"length": 14})
    values = markets.stored_values(SOURCE, [rsi], 2, 720, earlier)
    assert values is not None and values.fresh and values.opened == state.opened and len(values.rows) == 2
    assert markets.stored_values(SOURCE, [rsi], 2, 720, datetime(2010, 1, 1, tzinfo=UTC)) is None
