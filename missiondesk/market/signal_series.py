"""The signals of many candles at once: `signals.signal` over arrays, with the same numbers and words.

Scores and prices are computed for all rows together. The texts that explain them are written out row by row,
and only when they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np

from missiondesk.market.candles import FloatArray
from missiondesk.market.regime import REGIMES, Regime
from missiondesk.market.signal_settings import Lines, SignalSettings
from missiondesk.market.signals import Action, Size, Strategy
from missiondesk.market.situation_series import Mask, Places, divergences, gains, highest, percents

ACTIONS: Final = tuple(Action)
STRATEGIES: Final = tuple(Strategy)
SIZES: Final = tuple(Size)

_BUY, _SELL, _HOLD = (ACTIONS.index(action) for action in (Action.BUY, Action.SELL, Action.HOLD))
_TREND, _REVERSION = (
    STRATEGIES.index(strategy) for strategy in (Strategy.TREND_FOLLOW, Strategy.MEAN_REVERSION)
)
_NONE, _SMALL, _FULL = (SIZES.index(size) for size in (Size.NONE, Size.SMALL, Size.FULL))
_TRENDING: Final = REGIMES.index(Regime.TRENDING)


@dataclass(frozen=True, eq=False)
class CandleRows:
    """closes, volumes: of every candle, series after series; firsts: of each, where its series begins.

    rows: which of these candles want a signal. All else has one value for each of those: regimes are places
    in REGIMES; upper, lower: of the EMA channel; NaN stands for a value that there is not.
    """

    closes: FloatArray
    volumes: FloatArray
    firsts: Places
    rows: Places
    regimes: Places
    upper: FloatArray
    lower: FloatArray
    volume_ratio: FloatArray
    rsi: FloatArray
    macd: FloatArray
    macd_signal: FloatArray


@dataclass(frozen=True, eq=False)
class Scored:
    """Points that one rule gave: to which rows, how many, and the words for it."""

    rows: Places
    points: Places
    what: str
    values: FloatArray | None = None
    lines: tuple[str, ...] = ()
    matched: Places | None = None

    def told(self) -> Iterator[tuple[int, int, str]]:
        """Row, points, and the words as a JSON text."""
        rows, points = self.rows.tolist(), self.points.tolist()
        if self.values is None or self.matched is None:
            return zip(rows, points, repeat(json.dumps(self.what)), strict=False)
        what, lines = json.dumps(self.what)[:-1], [json.dumps(line)[1:] for line in self.lines]
        reasons = (
            f"{what} {value:.2f} is {lines[line]}"
            for value, line in zip(self.values.tolist(), self.matched.tolist(), strict=True)
        )
        return zip(rows, points, reasons, strict=True)


class SignalRows:
    """Signals by row. actions, strategies, sizes are places in ACTIONS, STRATEGIES, SIZES; NaN: no price."""

    def __init__(self, count: int) -> None:
        self.actions = np.full(count, _HOLD)
        self.strategies = np.full(count, _TREND)
        self.sizes = np.full(count, _NONE)
        self.confidence = np.zeros(count, dtype=np.int64)
        self.entry, self.stop, self.take_profit, self.risk_percent, self.reward_percent = (
            np.full(count, np.nan) for _ in range(5)
        )
        self.scored: list[Scored] = []
        self.openings: list[tuple[Places, str, tuple[FloatArray, ...]]] = []

    def __len__(self) -> int:
        return len(self.actions)

    def explained(self) -> list[tuple[str, str]]:
        """Of each row the reasons and the breakdown, as JSON texts."""
        reasons: list[list[str]] = [[] for _ in range(len(self))]
        breakdown: list[list[str]] = [[] for _ in range(len(self))]
        for rows, text, numbers in self.openings:
            shown = zip(*(values.tolist() for values in numbers), strict=True) if numbers else repeat(())
            template = json.dumps(text)
            for row, values in zip(rows.tolist(), shown, strict=False):
                reasons[row].append(template.format(*values))
        for scored in self.scored:
            for row, points, reason in scored.told():
                breakdown[row].append(f'{{"reason": {reason}, "points": {points}}}')
                if scored.what != _BASE:
                    reasons[row].append(reason)
        return [
            (f"[{', '.join(told)}]", f"[{', '.join(points)}]")
            for told, points in zip(reasons, breakdown, strict=True)
        ]


def signal_series(given: CandleRows, settings: SignalSettings | None = None) -> SignalRows:
    """The signal of each row, by the tables of `signals`."""
    rules = settings or SignalSettings()
    found = SignalRows(len(given.rows))
    close = given.closes[given.rows]
    position = percents(close - given.lower, given.upper - given.lower)
    trending = given.regimes == _TRENDING
    found.strategies[~trending] = _REVERSION
    near = rules.reversion_near_percent
    above, below = trending & (close > given.upper), trending & (close < given.lower)
    at_lower = ~trending & (np.abs(position) < near)
    at_upper = ~trending & ~at_lower & (np.abs(position - 100) < near)
    scoring = _Scoring(given, rules, found, close, position, np.flatnonzero(above | below))
    scoring.trend_buy(np.flatnonzero(above))
    scoring.trend_sell(np.flatnonzero(below))
    scoring.reversion_buy(np.flatnonzero(at_lower))
    scoring.reversion_sell(np.flatnonzero(at_upper))
    inside, away = trending & ~above & ~below, ~trending & ~at_lower & ~at_upper
    found.openings.append((np.flatnonzero(inside), "trending, but inside the channel", ()))
    found.openings.append((np.flatnonzero(away), "ranging, away from both edges of the channel", ()))
    return found


_BASE: Final = "base"


class _Scoring:
    """Scores one kind of signal after the other into `found`; each method takes the rows it is for."""

    def __init__(
        self,
        given: CandleRows,
        rules: SignalSettings,
        found: SignalRows,
        close: FloatArray,
        position: FloatArray,
        trends: Places,
    ) -> None:
        self._given, self._rules, self._found = given, rules, found
        self._close, self._position = close, position
        self._bearish, self._bullish = np.zeros((2, len(found)), dtype=bool)
        self._bearish[trends], self._bullish[trends] = divergences(
            given.closes,
            given.volumes,
            given.firsts,
            given.rows[trends],
            rules.divergence_bars,
            rules.divergence_price_percent,
            rules.divergence_volume_percent,
        )
        self._lead = np.nan_to_num(given.macd - given.macd_signal, nan=0.0)

    def trend_buy(self, rows: Places) -> None:
        given, rules = self._given, self._rules
        at, closes, firsts = given.rows[rows], given.closes, given.firsts
        close, upper = self._close[rows], given.upper[rows]
        high = highest(closes, firsts, at, rules.high_bars)
        score = _Score(self._found, rows, rules.trend_base)
        score.add("position in the channel", self._position[rows], rules.buy_position)
        score.add("deviation from the upper edge", percents(close - upper, upper), rules.buy_deviation)
        score.add("RSI", given.rsi[rows], rules.buy_rsi)
        for bars, lines in (
            (rules.short_gain_bars, rules.buy_short_gain),
            (rules.long_gain_bars, rules.buy_long_gain),
        ):
            score.add(f"{bars}-bar gain", gains(closes, firsts, at, bars), lines)
        distance = np.nan_to_num(percents(close - high, high), nan=0.0)
        score.add("distance from the highest close", distance, rules.buy_from_high)
        score.add_if(self._bearish[rows], "bearish divergence", rules.trend_divergence_points)
        score.add_if(np.ones(len(rows), dtype=bool), "trending", rules.buy_trending_points)
        score.add("volume ratio", given.volume_ratio[rows], rules.trend_volume_ratio)
        score.add_if(self._lead[rows] > 0, "MACD above its signal", rules.trend_macd_points)
        confidence = score.confidence()
        risky = confidence < rules.hold_below
        ordered = self._order(rows, ~risky, _BUY, given.lower[rows])
        small = ordered & (confidence < rules.small_below)
        self._found.sizes[rows[small]] = _SMALL
        self._open(rows[risky], "too risky to chase")
        self._open(rows[small], "small position")
        self._open(rows, "close {:g} above the channel's upper edge {:g}", self._close, given.upper)

    def trend_sell(self, rows: Places) -> None:
        given, rules = self._given, self._rules
        score = _Score(self._found, rows, rules.trend_base)
        score.add("position in the channel", self._position[rows], rules.sell_position)
        score.add("RSI", given.rsi[rows], rules.sell_rsi)
        # Below the channel is the direction "down".
        score.add_if(np.ones(len(rows), dtype=bool), "trending down", rules.sell_trending_down_points)
        score.add("volume ratio", given.volume_ratio[rows], rules.trend_volume_ratio)
        score.add_if(self._lead[rows] < 0, "MACD below its signal", rules.trend_macd_points)
        score.add_if(self._bullish[rows], "bullish divergence", rules.trend_divergence_points)
        risky = score.confidence() < rules.hold_below
        self._order(rows, ~risky, _SELL, given.upper[rows])
        self._open(rows[risky], "too risky to sell into the fall")
        self._open(rows, "close {:g} below the channel's lower edge {:g}", self._close, given.lower)

    def reversion_buy(self, rows: Places) -> None:
        rules, lower = self._rules, self._given.lower[rows]
        score = _Score(self._found, rows, rules.reversion_base)
        score.add("position in the channel", self._position[rows], rules.reversion_buy_position)
        score.add("RSI", self._given.rsi[rows], rules.reversion_buy_rsi)
        score.confidence()
        everywhere = np.ones(len(rows), dtype=bool)
        self._order(rows, everywhere, _BUY, lower * rules.reversion_buy_stop, self._middle(rows))
        self._open(rows, "ranging, near the channel's lower edge {:g}", self._given.lower)

    def reversion_sell(self, rows: Places) -> None:
        rules, upper = self._rules, self._given.upper[rows]
        score = _Score(self._found, rows, rules.reversion_base)
        score.add("position in the channel", self._position[rows], rules.reversion_sell_position)
        score.add("RSI", self._given.rsi[rows], rules.reversion_sell_rsi)
        score.confidence()
        everywhere = np.ones(len(rows), dtype=bool)
        self._order(rows, everywhere, _SELL, upper * rules.reversion_sell_stop, self._middle(rows))
        self._open(rows, "ranging, near the channel's upper edge {:g}", self._given.upper)

    def _order(
        self, rows: Places, wanted: Mask, action: int, stop: FloatArray, take_profit: FloatArray | None = None
    ) -> Mask:
        """Buy or sell at the close where wanted and the stop is beyond it; where that was."""
        found, entry = self._found, self._close[rows]
        toward_profit = 1 if action == _BUY else -1
        risk = toward_profit * (entry - stop)
        ordered: Mask = wanted & (risk > 0)
        misplaced = wanted & ~ordered
        at = rows[ordered]
        found.actions[at], found.sizes[at] = action, _FULL
        found.entry[at], found.stop[at] = entry[ordered], stop[ordered]
        found.risk_percent[at] = risk[ordered] * 100 / entry[ordered]
        if take_profit is not None:
            found.take_profit[at] = take_profit[ordered]
            reward = toward_profit * (take_profit - entry) * 100 / entry
            found.reward_percent[at] = reward[ordered]
        text = "the stop {:g} is on the wrong side of the entry {:g}"
        found.openings.append((rows[misplaced], text, (stop[misplaced], entry[misplaced])))
        return ordered

    def _open(self, rows: Places, text: str, *numbers: FloatArray) -> None:
        self._found.openings.append((rows, text, tuple(values[rows] for values in numbers)))

    def _middle(self, rows: Places) -> FloatArray:
        return (self._given.lower[rows] + self._given.upper[rows]) / 2


class _Score:
    """Collects points of some rows."""

    def __init__(self, found: SignalRows, rows: Places, base: int) -> None:
        self._found, self._rows = found, rows
        self._total = np.full(len(rows), base, dtype=np.int64)
        found.scored.append(Scored(rows, self._total.copy(), _BASE))

    def add(self, what: str, values: FloatArray, lines: Lines) -> None:
        matched = np.full(len(values), -1)
        for place, line in enumerate(lines):
            match line.when:
                case "above":
                    holds = values > line.limit
                case "below":
                    holds = values < line.limit
                case "always":
                    holds = ~np.isnan(values)
            matched[holds & (matched < 0)] = place
        at = np.flatnonzero(matched >= 0)
        chosen = matched[at]
        points = np.array([line.points for line in lines], dtype=np.int64)[chosen]
        self._total[at] += points
        shown = tuple(str(line) for line in lines)
        self._found.scored.append(Scored(self._rows[at], points, what, values[at], shown, chosen))

    def add_if(self, holds: Mask, reason: str, points: int) -> None:
        at = np.flatnonzero(holds)
        self._total[at] += points
        self._found.scored.append(Scored(self._rows[at], np.full(len(at), points), reason))

    def confidence(self) -> Places:
        """The clamped sums, noted as the rows' confidence."""
        clamped: Places = np.clip(self._total, 0, 100)
        self._found.confidence[self._rows] = clamped
        return clamped
