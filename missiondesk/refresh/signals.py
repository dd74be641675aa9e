"""Trading signals: one for every candle that has a regime, active until a later one differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from missiondesk.market.candles import FloatArray, TimeArray
from missiondesk.market.regime import REGIMES, RegimeSettings
from missiondesk.market.signal_series import ACTIONS, SIZES, STRATEGIES, CandleRows, SignalRows, signal_series
from missiondesk.market.signal_settings import SignalSettings
from missiondesk.market.signals import Action
from missiondesk.market.situation_series import Mask, Places
from missiondesk.refresh.decided import span
from missiondesk.refresh.settings import fingerprint
from missiondesk.refresh.steps import Step
from missiondesk.store.market.binary_copy import Column, Documents, Floats, Integers, Times, Words
from missiondesk.store.market.blocks import Block, read_block
from missiondesk.store.market.series import NEVER, Series, StepState, read_states, save_states
from missiondesk.store.market.signals import SIGNAL_KEY, close_signals
from missiondesk.store.market.staging import Written, write_calculated
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


@dataclass(frozen=True, eq=False)
class Endings:
    """Of each row the row of its series whose signal ended it, -1 while it is active; and what changed.

    changed: whether a row differs from the one before it. last: series id → its last signal's code.
    """

    by: Places
    changed: Mask
    last: Mapping[int, int]


def calculate_signals(
    connection: Connection, portion: Sequence[Series], regime_rules: RegimeSettings, rules: SignalSettings
) -> dict[int, Written]:
    """Rows of `trading_signal`; a changed signal closes those before it, each with its profit or loss."""
    of_rules = f"{fingerprint(regime_rules)} {fingerprint(rules)}"
    after, until = span(connection, portion, Step.SIGNALS, of_rules)
    if not until:
        return {}
    stored = read_states(connection, Step.SIGNALS, [id for id, since in after.items() if since != NEVER])
    decided = read_block(connection, _DECIDED, _VALUES, after, until)
    candles = read_block(
        connection, "candle", ("close", "volume"), after, until, before_too=_candles_before(rules)
    )
    decided, given = _aligned(candles, decided, rules)
    found = signal_series(given, rules)
    closes = given.closes[given.rows]
    endings = _endings(found, decided.series_ids, {id: each.state["last"] for id, each in stored.items()})
    closed = close_signals(connection, _first_changes(decided, closes, endings, stored))
    anew = [id for id, since in after.items() if since == NEVER]
    rows = _columns(found, decided, closes, endings)
    written = write_calculated(connection, trading_signal, rows, SIGNAL_KEY, anew)
    states = {
        id: StepState(time, {"rules": of_rules, "last": endings.last.get(id)}) for id, time in until.items()
    }
    save_states(connection, Step.SIGNALS, states)
    return {id: replace(change, updated=change.updated + closed.get(id, 0)) for id, change in written.items()}


def _candles_before(rules: SignalSettings) -> int:
    """How many candles before a new one its signal looks at."""
    gains = max(rules.short_gain_bars, rules.long_gain_bars)
    return max(rules.high_bars - 1, gains, 2 * rules.divergence_bars - 1, rules.candles_needed - 1)


def _aligned(candles: Block, decided: Block, rules: SignalSettings) -> tuple[Block, CandleRows]:
    """The decided rows with candles enough before them, and all that their signals follow from."""
    rows = np.searchsorted(_keys(candles), _keys(decided))
    starts = np.flatnonzero(np.diff(candles.series_ids, prepend=-1))
    firsts = np.repeat(starts, np.diff(starts, append=len(candles)))
    enough = rows - firsts[rows] + 1 >= rules.candles_needed
    kept = decided.only(enough)
    columns = {name: values for name, values in kept.columns.items() if name != "regime"}
    given = CandleRows(
        closes=candles.columns["close"],
        volumes=candles.columns["volume"],
        firsts=firsts,
        rows=rows[enough],
        regimes=kept.columns["regime"].astype(np.int64),
        **columns,
    )
    return kept, given


def _keys(block: Block) -> TimeArray:
    """Series and time of each row as one ascending number: times in milliseconds take 42 bits until 2109."""
    return (block.series_ids.astype(np.int64) << 42) + block.open_time


def _endings(found: SignalRows, ids: NDArray[np.int32], last: Mapping[int, int | None]) -> Endings:
    """A signal is another one when its action or its strategy differs."""
    codes = found.actions * len(STRATEGIES) + found.strategies
    begins = np.diff(ids, prepend=-1) != 0
    changed = np.diff(codes, prepend=-1) != 0
    for place in np.flatnonzero(begins):
        before = last.get(int(ids[place]))
        changed[place] = before is not None and before != codes[place]
    changes = np.append(np.flatnonzero(changed), len(ids))
    following = changes[np.searchsorted(changes, np.arange(len(ids)), side="right")]
    within = np.append(ids, -1)[following] == ids
    newest = np.flatnonzero(np.diff(ids, append=-1))
    codes_now = dict(last) | dict(zip(ids[newest].tolist(), codes[newest].tolist(), strict=True))
    return Endings(
        np.where(within, following, -1),
        changed,
        {id: code for id, code in codes_now.items() if code is not None},
    )


def _first_changes(
    decided: Block, closes: FloatArray, endings: Endings, stored: Mapping[int, StepState]
) -> dict[int, tuple[int, float]]:
    """Where the stored signals of a series end: its first new candle that differs, and its close."""
    ends: dict[int, tuple[int, float]] = {}
    for row in np.flatnonzero(endings.changed).tolist():
        id = int(decided.series_ids[row])
        if id in stored and id not in ends:
            ends[id] = (int(decided.open_time[row]), float(closes[row]))
    return ends


def _columns(found: SignalRows, decided: Block, closes: FloatArray, endings: Endings) -> dict[str, Column]:
    active = endings.by < 0
    exits = np.where(active, np.nan, closes[endings.by])
    profits = (exits - found.entry) * 100 / found.entry
    pnl = np.where(found.actions == ACTIONS.index(Action.SELL), -profits, profits)
    explained = found.explained()
    return {
        "series_id": Integers(decided.series_ids),
        "open_time": Times(decided.open_time),
        "strategy": Words(found.strategies, STRATEGIES),
        "action": Words(found.actions, ACTIONS),
        "size": Words(found.sizes, SIZES),
        "confidence": Integers(found.confidence),
        **{name: Floats(getattr(found, name)) for name in _PRICES},
        "status": Words(np.where(active, 0, 1), STATUSES),
        "exit_open_time": Times(decided.open_time[endings.by], active),
        "exit_price": Floats(exits),
        "pnl_percent": Floats(pnl),
        "reasons": Documents([reasons for reasons, _ in explained]),
        "breakdown": Documents([breakdown for _, breakdown in explained]),
    }
