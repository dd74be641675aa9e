"""The signals of many candles at once: `signals.signal` over arrays, with the same numbers and words.

Scores and prices are computed for all rows together. The texts that explain them are written out row by row,
and only when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import FloatArray
from missiondesk.market.panel import IN_CACHE
from missiondesk.market.regime import REGIMES, Regime
from missiondesk.market.signal_rows import ACTIONS, SIZES, STRATEGIES, CandleRows, SignalRows
from missiondesk.market.signal_settings import Lines, SignalSettings
from missiondesk.market.signal_texts import SignalTexts
from missiondesk.market.signals import Action, Size, Strategy
from missiondesk.market.situation_series import Mask, Places, percents

_BUY, _SELL = (ACTIONS.index(action) for action in (Action.BUY, Action.SELL))
_TREND, _REVERSION = (
    STRATEGIES.index(strategy) for strategy in (Strategy.TREND_FOLLOW, Strategy.MEAN_REVERSION)
)
_SMALL, _FULL = (SIZES.index(size) for size in (Size.SMALL, Size.FULL))
_TRENDING: Final = REGIMES.index(Regime.TRENDING)


def signal_series(given: CandleRows, settings: SignalSettings | None = None) -> SignalRows:
    """The signal of each row, by the tables of `signals`."""
    rules, found = settings or SignalSettings(), SignalRows.holding(len(given))
    for some in _parts(len(given)):
        _score(given.part(some), rules, found.part(some), None)
    return found


def explained_signals(
    given: CandleRows, settings: SignalSettings | None = None
) -> tuple[SignalRows, Iterable[tuple[str, str]]]:
    """The signals and their texts; few of them are scored once for both."""
    if len(given) > IN_CACHE:
        return signal_series(given, settings), explained(given, settings)
    found, told = SignalRows.holding(len(given)), SignalTexts(len(given))
    _score(given, settings or SignalSettings(), found, told)
    return found, told.texts()


def explained(given: CandleRows, settings: SignalSettings | None = None) -> Iterator[tuple[str, str]]:
    """Of each row the reasons and the breakdown, as JSON texts."""
    for some in _parts(len(given)):
        part, count = given.part(some), some.stop - some.start
        told = SignalTexts(count)
        _score(part, settings or SignalSettings(), SignalRows.holding(count), told)
        yield from told.texts()


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, min(start + IN_CACHE, count)) for start in range(0, count, IN_CACHE))


def _score(given: CandleRows, rules: SignalSettings, found: SignalRows, told: SignalTexts | None) -> None:
    """Put the signals into `found`, and what there is to tell of them into `told`."""
    close, upper, lower = given.situations.closes.take(given.at), given.upper, given.lower
    position = percents(close - lower, upper - lower)
    trending = given.regimes == _TRENDING
    ranging = ~trending
    found.strategies[:] = _TREND + ranging * np.int8(_REVERSION - _TREND)
    near = rules.reversion_near_percent
    above, below = trending & (close > upper), trending & (close < lower)
    at_lower = ranging & (np.abs(position) < near)
    at_upper = ranging & ~at_lower & (np.abs(position - 100) < near)
    kinds = {_TrendBuy: above, _TrendSell: below, _LowerBuy: at_lower, _UpperSell: at_upper}
    for kind, holds in kinds.items():
        rows = np.flatnonzero(holds)
        kind(given, rows, close.take(rows), position.take(rows), rules, found, told).decide()
    if told is not None:
        inside, away = trending & ~above & ~below, ranging & ~at_lower & ~at_upper
        told.open(np.flatnonzero(inside), "trending, but inside the channel")
        told.open(np.flatnonzero(away), "ranging, away from both edges of the channel")


class _Kind:
    """One kind of signal: collects the points of its rows, and orders."""

    def __init__(
        self,
        given: CandleRows,
        rows: Places,
        close: FloatArray,
        position: FloatArray,
        rules: SignalSettings,
        found: SignalRows,
        told: SignalTexts | None,
    ) -> None:
        self._given, self._rows, self._close, self._position = given, rows, close, position
        self._rules, self._found, self._told = rules, found, told
        self._situations, self._at = given.situations, given.at.take(rows)
        self._upper, self._lower = given.upper.take(rows), given.lower.take(rows)
        self._total = np.zeros(len(rows), dtype=np.int32)

    def decide(self) -> None:
        """Note the signals of these rows."""
        raise NotImplementedError

    def _base(self, points: int) -> None:
        self._total += points
        if self._told is not None:
            self._told.base(self._rows, points)

    def _add(self, what: str, values: FloatArray, lines: Lines) -> None:
        open_still = np.ones(len(values), dtype=bool)
        for line in lines:
            match line.when:
                case "above":
                    holds = values > line.limit
                case "below":
                    holds = values < line.limit
                case "always":
                    holds = ~np.isnan(values)
            holds &= open_still
            open_still ^= holds
            # A product and not an index: nobody can predict which rows these are.
            self._total += holds * np.int32(line.points)
            if self._told is not None:
                self._told.score_values(self._rows[holds], what, values[holds], line)

    def _add_if(self, holds: Mask, reason: str, points: int) -> None:
        self._total += holds * np.int32(points)
        if self._told is not None:
            self._told.score(self._rows[holds], reason, points)

    def _add_always(self, reason: str, points: int) -> None:
        self._total += points
        if self._told is not None:
            self._told.score(self._rows, reason, points)

    def _confidence(self) -> NDArray[np.int32]:
        """The clamped sums, noted as the rows' confidence."""
        clamped = np.clip(self._total, 0, 100)
        self._found.confidence[self._rows] = clamped
        return clamped

    def _add_rsi(self, lines: Lines) -> None:
        self._add("RSI", self._given.rsi.take(self._rows), lines)

    def _add_volume_ratio(self) -> None:
        ratio = self._given.volume_ratio.take(self._rows)
        self._add("volume ratio", ratio, self._rules.trend_volume_ratio)

    def _divergence(self, direction: int) -> Mask:
        """Whether prices moved in this direction, and the volume did not follow."""
        rules, situations = self._rules, self._situations
        found = direction * situations.price_changes(self._at) > rules.divergence_price_percent
        moved = np.flatnonzero(found)  # few of them
        changes = situations.volume_changes(self._at.take(moved))
        found[moved] = changes < -rules.divergence_volume_percent
        return found

    def _lead(self) -> FloatArray:
        """The MACD minus its signal, NaN where either is unknown."""
        return self._given.macd.take(self._rows) - self._given.macd_signal.take(self._rows)

    def _order(
        self, action: int, stop: FloatArray, take_profit: FloatArray | None = None, unless: Mask | None = None
    ) -> Mask:
        """Buy or sell at the close where not `unless` and where the stop is beyond it; where that was."""
        found, entry = self._found, self._close
        toward_profit = 1 if action == _BUY else -1
        risk = toward_profit * (entry - stop)
        wanted = np.ones(len(entry), dtype=bool) if unless is None else ~unless
        ordered: Mask = wanted & (risk > 0)
        chosen = np.flatnonzero(ordered)
        at = self._rows.take(chosen)
        found.actions[at], found.sizes[at] = action, _FULL
        found.entry[at], found.stop[at] = entry.take(chosen), stop.take(chosen)
        found.risk_percent[at] = (risk * 100 / entry).take(chosen)
        if take_profit is not None:
            found.take_profit[at] = take_profit.take(chosen)
            found.reward_percent[at] = (toward_profit * (take_profit - entry) * 100 / entry).take(chosen)
        if self._told is not None:
            misplaced = wanted & ~ordered
            text = "the stop {:g} is on the wrong side of the entry {:g}"
            self._told.open(self._rows[misplaced], text, stop[misplaced], entry[misplaced])
        return ordered

    def _open(self, holds: Mask, text: str) -> None:
        if self._told is not None:
            self._told.open(self._rows[holds], text)

    def _headline(self, text: str, *numbers: FloatArray) -> None:
        if self._told is not None:
            self._told.open(self._rows, text, *numbers)

    def _middle(self) -> FloatArray:
        return (self._lower + self._upper) / 2


class _TrendBuy(_Kind):
    def decide(self) -> None:
        rules, situations, upper = self._rules, self._situations, self._upper
        self._base(rules.trend_base)
        self._add("position in the channel", self._position, rules.buy_position)
        deviation = percents(self._close - upper, upper)
        self._add("deviation from the upper edge", deviation, rules.buy_deviation)
        self._add_rsi(rules.buy_rsi)
        for bars, lines in (
            (rules.short_gain_bars, rules.buy_short_gain),
            (rules.long_gain_bars, rules.buy_long_gain),
        ):
            self._add(f"{bars}-bar gain", situations.gains(self._at, bars), lines)
        distance = np.nan_to_num(situations.from_high(self._at), nan=0.0)
        self._add("distance from the highest close", distance, rules.buy_from_high)
        self._add_if(self._divergence(+1), "bearish divergence", rules.trend_divergence_points)
        self._add_always("trending", rules.buy_trending_points)
        self._add_volume_ratio()
        self._add_if(self._lead() > 0, "MACD above its signal", rules.trend_macd_points)
        confidence = self._confidence()
        risky = confidence < rules.hold_below
        small = self._order(_BUY, self._lower, unless=risky) & (confidence < rules.small_below)
        self._found.sizes[self._rows[small]] = _SMALL
        self._open(risky, "too risky to chase")
        self._open(small, "small position")
        self._headline("close {:g} above the channel's upper edge {:g}", self._close, upper)


class _TrendSell(_Kind):
    def decide(self) -> None:
        rules = self._rules
        self._base(rules.trend_base)
        self._add("position in the channel", self._position, rules.sell_position)
        self._add_rsi(rules.sell_rsi)
        # Below the channel is the direction "down".
        self._add_always("trending down", rules.sell_trending_down_points)
        self._add_volume_ratio()
        self._add_if(self._lead() < 0, "MACD below its signal", rules.trend_macd_points)
        self._add_if(self._divergence(-1), "bullish divergence", rules.trend_divergence_points)
        risky = self._confidence() < rules.hold_below
        self._order(_SELL, self._upper, unless=risky)
        self._open(risky, "too risky to sell into the fall")
        self._headline("close {:g} below the channel's lower edge {:g}", self._close, self._lower)


class _LowerBuy(_Kind):
    def decide(self) -> None:
        rules = self._rules
        self._base(rules.reversion_base)
        self._add("position in the channel", self._position, rules.reversion_buy_position)
        self._add_rsi(rules.reversion_buy_rsi)
        self._confidence()
        self._order(_BUY, self._lower * rules.reversion_buy_stop, self._middle())
        self._headline("ranging, near the channel's lower edge {:g}", self._lower)


class _UpperSell(_Kind):
    def decide(self) -> None:
        rules = self._rules
        self._base(rules.reversion_base)
        self._add("position in the channel", self._position, rules.reversion_sell_position)
        self._add_rsi(rules.reversion_sell_rsi)
        self._confidence()
        self._order(_SELL, self._upper * rules.reversion_sell_stop, self._middle())
        self._headline("ranging, near the channel's upper edge {:g}", self._upper)
