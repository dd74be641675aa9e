"""Trading signals: one for every candle that has a regime, active until a later one differs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from missiondesk.market.candles import FloatArray, TimeArray
from missiondesk.market.panel import NewCandles
from missiondesk.market.regime import REGIMES, RegimeSettings
from missiondesk.market.signal_rows import ACTIONS, SIZES, STRATEGIES, CandleRows, SignalRows
from missiondesk.market.signal_series import explained_signals
from missiondesk.market.signal_settings import SignalSettings
from missiondesk.market.signals import Action
from missiondesk.market.situation_series import Mask, Places, Situations, Spans
from missiondesk.refresh.continued import CONTINUED
from missiondesk.refresh.settings import fingerprint
from missiondesk.refresh.steps import Step
from missiondesk.refresh.work import Work
from missiondesk.store.market.binary_copy import Column, Documents, Floats, Integers, Times, Words
from missiondesk.store.market.blocks import Block, read_block
from missiondesk.store.market.progress import Pending, save_progress
from missiondesk.store.market.signals import CANCELLED_STAYS, SIGNAL_KEY, close_signals
from missiondesk.store.market.staging import Calculated, write_calculated
from models.market_tables import trading_signal

STATUSES: Final = ("active", "closed")
_PRICES: Final = ("entry", "stop", "take_profit", "risk_percent", "reward_percent")

_DECIDED: Final = (
    "market_regime JOIN ema_channel USING (series_id, open_time) JOIN indicator USING (series_id, open_time)"
)
_VALUES: Final = {
    "regime": "CASE regime "
    + " ".join(f"WHEN '{regime}' THEN {place}.0" for place, regime in enumerate(REGIMES))
    + " END",
    "upper": "upper",
    "lower": "lower",
    "volume_ratio": "volume_ratio",
    "rsi": "rsi_14",
    "macd": "macd",
    "macd_signal": "macd_signal",
}
_NO_SIGNAL: Final = -1.0
"""In place of the last signal's code."""


@dataclass(frozen=True, eq=False)
class Endings:
    """by: of each row the row of its series whose signal ends it, -1 while it is active.

    firsts: the rows that end signals stored before. last: the code of each series' last signal.
    """

    by: Places
    firsts: Places
    last: FloatArray


def signal_work(regime_rules: RegimeSettings, rules: SignalSettings) -> Work:
    """Rows of `trading_signal`; a changed signal closes those before it, each with its profit or loss."""
    of_regimes = fingerprint(regime_rules)
    of_rules = f"{of_regimes} {fingerprint(rules)}"
    spans = Spans(rules)

    def calculate(connection: Connection, portion: Pending) -> Calculated:
        ids, after, until = portion.ids, portion.after, portion.until
        decided = read_block(connection, _DECIDED, _VALUES, ids, after, until)
        candles = read_block(connection, "candle", ("close", "volume"), ids, after, until)
        lengths = candles.lengths(ids)
        known = portion.numbers[:, 1:]
        older = _older(connection, portion[spans.outlived(known, lengths)], ids, rules.high_bars - 1)
        new = NewCandles(candles.columns, lengths)
        situations, states = spans.continued(known, new, older)
        enough = spans.counts(known, new) >= rules.candles_needed
        decided, given = _aligned(candles, decided, situations, enough)
        found, texts = explained_signals(given, rules)
        closes = situations.closes[given.at]
        endings = _endings(found, decided.series_ids, ids, portion.numbers[:, 0])
        firsts = endings.firsts
        closed = close_signals(
            connection, decided.series_ids[firsts], decided.open_time[firsts], closes[firsts]
        )
        written = write_calculated(
            connection,
            trading_signal,
            _columns(found, decided, closes, endings.by),
            SIGNAL_KEY,
            portion.anew,
            documents=Documents(("reasons", "breakdown"), texts),
            unless=CANCELLED_STAYS,
        )
        numbers = np.concatenate([endings.last[:, np.newaxis], states], axis=1)
        save_progress(connection, Step.SIGNALS, of_rules, portion, until, numbers)
        return replace(written, updated=written.updated + closed)

    beginning = np.concatenate([[_NO_SIGNAL], spans.beginning])
    read = {**CONTINUED, Step.MARKET_REGIME: of_regimes}
    return Work(of_rules, beginning, read, calculate)


def _older(connection: Connection, of: Pending, ids: NDArray[np.int32], count: int) -> NewCandles:
    """The closes before the new ones of some series, as many as this; none of all the others."""
    if not len(of):
        return NewCandles({"close": np.empty(0)}, np.zeros(len(ids), dtype=np.int64))
    block = read_block(connection, "candle", ("close",), of.ids, of.after, of.after, before_too=count)
    return NewCandles(block.columns, block.lengths(ids))


def _aligned(
    candles: Block, decided: Block, situations: Situations, enough: Mask
) -> tuple[Block, CandleRows]:
    """The decided rows of candles that have enough before them, and all that their signals follow from."""
    rows = np.searchsorted(_keys(candles), _keys(decided))
    kept, rows = decided.only(enough[rows]), rows[enough[rows]]
    columns = {name: values for name, values in kept.columns.items() if name != "regime"}
    regimes = kept.columns["regime"].astype(np.int8)
    return kept, CandleRows(regimes=regimes, at=situations.places[rows], situations=situations, **columns)


def _keys(block: Block) -> TimeArray:
    """Series and time of each row as one ascending number: times in milliseconds take 42 bits until 2109."""
    return (block.series_ids.astype(np.int64) << 42) + block.open_time


def _endings(found: SignalRows, of: NDArray[np.int32], ids: NDArray[np.int32], last: FloatArray) -> Endings:
    """A signal is another one when its action or its strategy differs. of: the series of each row."""
    codes = found.actions * len(STRATEGIES) + found.strategies
    begins = np.flatnonzero(np.diff(of, prepend=-1))
    before = last[np.searchsorted(ids, of[begins])]
    changed = np.diff(codes, prepend=-1) != 0
    changed[begins] = (before != _NO_SIGNAL) & (before != codes[begins])
    # One beyond the end, of no series.
    changes, series = np.append(np.flatnonzero(changed), len(of)), np.append(of, -1)
    following = changes[np.searchsorted(changes, np.arange(len(of)), side="right")]
    first = changes[np.searchsorted(changes, begins)]
    of_its_own = (series[first] == of[begins]) & (before != _NO_SIGNAL)
    newest = np.flatnonzero(np.diff(of, append=-1))
    last_now = last.copy()
    last_now[np.searchsorted(ids, of[newest])] = codes[newest]
    return Endings(np.where(series[following] == of, following, -1), first[of_its_own], last_now)


def _columns(found: SignalRows, decided: Block, closes: FloatArray, ended_by: Places) -> dict[str, Column]:
    active = ended_by < 0
    exits = np.where(active, np.nan, closes[ended_by])
    profits = (exits - found.entry) * 100 / found.entry
    pnl = np.where(found.actions == ACTIONS.index(Action.SELL), -profits, profits)
    return {
        "series_id": Integers(decided.series_ids),
        "open_time": Times(decided.open_time),
        "strategy": Words(found.strategies, STRATEGIES),
        "action": Words(found.actions, ACTIONS),
        "size": Words(found.sizes, SIZES),
        "confidence": Integers(found.confidence),
        **{name: Floats(getattr(found, name)) for name in _PRICES},
        "status": Words(np.where(active, 0, 1), STATUSES),
        "exit_open_time": Times(decided.open_time[ended_by], active),
        "exit_price": Floats(exits),
        "pnl_percent": Floats(pnl),
    }
