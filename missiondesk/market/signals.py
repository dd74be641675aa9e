"""Buy, sell or hold: a score for one closed candle, with every point of it explained.

With the close c and the EMA channel from lower to upper, p = (c − lower) / (upper − lower) · 100 and
d = (c − upper) / upper · 100. What is scored follows from regime and place; an edge belongs to the channel:

| regime | place | |
|---|---|---|
| trending | c > upper | trend BUY, stop at lower |
| trending | c < lower | trend SELL, stop at upper |
| trending | lower ≤ c ≤ upper | HOLD, confidence 0 |
| ranging | abs(p) < 10 | reversion BUY, take profit mid, stop lower · 0.98 |
| ranging | abs(p − 100) < 10 | reversion SELL, take profit mid, stop upper · 1.02 |
| ranging | elsewhere | HOLD, confidence 0 |

Points; of each row the first matching entry counts, and a value on a limit goes on to the next one:

| | trend BUY, base 50 |
|---|---|
| p | > 200 −40, > 150 −30, > 100 −20 |
| d | < 3 −5, < 5 −15, < 10 −25, else −40 |
| RSI | > 80 −25, > 70 −15, < 60 +10 |
| gain over 10 bars, % | > 20 −20, > 10 −10, > 7 −5 |
| gain over 20 bars, % | > 40 −15, > 20 −5 |
| from the highest close of 365 bars, % | > −5 −20, > −15 −10, < −50 +15 |
| bearish divergence | −15 |
| trending; volume ratio > 1.2; MACD above its signal | +15; +10; +10 |

| | trend SELL, base 50 |
|---|---|
| p | < 0 −20 |
| RSI | < 30 −15, < 40 −10 |
| bullish divergence | −15 |
| trending down; volume ratio > 1.2; MACD below its signal | +15; +10; +10 |

| | reversion BUY, base 45 | reversion SELL, base 45 |
|---|---|---|
| p | < 30 +15 | > 70 +15 |
| RSI | < 35 +20, < 45 +10 | > 65 +20, > 55 +10 |

The sum is clamped to 0–100. Trend following holds below 30; a trend BUY below 50 is a small position. A stop
that is not beyond the entry (below it for a BUY, above it for a SELL) makes a HOLD. A list whose value is
undefined is skipped. All numbers are defaults of `SignalSettings`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from missiondesk.market.candles import Candles
from missiondesk.market.ema_channel import Direction
from missiondesk.market.indicators import indicator, series
from missiondesk.market.regime import Regime, RegimeSettings, regime_at
from missiondesk.market.signal_settings import Line, SignalSettings, first_match
from missiondesk.market.situation import Divergence, Situation, situation


class Action(StrEnum):
    BUY = "buy"
    SELL = "sell"
    HOLD = "hold"


class Strategy(StrEnum):
    TREND_FOLLOW = "trend_follow"
    MEAN_REVERSION = "mean_reversion"


class Size(StrEnum):
    """How much of a usual position the confidence allows."""

    NONE = "none"
    SMALL = "small"
    FULL = "full"


@dataclass(frozen=True)
class Points:
    reason: str
    points: int


@dataclass(frozen=True)
class Signal:
    """What to do at one closed candle.

    confidence: 0–100, the clamped sum of the breakdown. entry, stop, take_profit: prices; risk_percent,
    reward_percent: their distances in % of the entry. A HOLD has none of these.
    """

    action: Action
    strategy: Strategy
    size: Size
    confidence: int
    reasons: tuple[str, ...]
    breakdown: tuple[Points, ...] = ()
    entry: float | None = None
    stop: float | None = None
    take_profit: float | None = None
    risk_percent: float | None = None
    reward_percent: float | None = None

    def breakdown_json(self) -> list[dict[str, str | int]]:
        """The breakdown as a JSON-able list of {"reason", "points"}."""
        return [{"reason": item.reason, "points": item.points} for item in self.breakdown]


def signal_at(
    candles: Candles,
    settings: SignalSettings | None = None,
    regime_settings: RegimeSettings | None = None,
) -> tuple[Signal, Situation]:
    """The signal at the newest of these closed candles, computed from them alone. Raises TooFewCandles."""
    regime, channel, _ = regime_at(candles, regime_settings)
    rsi, macd, macd_signal = (_newest(candles, name) for name in ("rsi", "macd", "macd_signal"))
    seen = situation(candles, regime, channel, rsi, macd, macd_signal, settings)
    return signal(seen, settings), seen


def signal(seen: Situation, settings: SignalSettings | None = None) -> Signal:
    """The signal by the tables above."""
    rules = settings or SignalSettings()
    close, upper, lower = seen.channel.close, seen.channel.upper, seen.channel.lower
    if seen.regime is Regime.TRENDING:
        if close > upper:
            return _trend_buy(seen, rules)
        if close < lower:
            return _trend_sell(seen, rules)
        return _nothing(Strategy.TREND_FOLLOW, "trending, but inside the channel")
    position, near = seen.position, rules.reversion_near_percent
    if position is not None and abs(position) < near:
        return _reversion_buy(seen, rules)
    if position is not None and abs(position - 100) < near:
        return _reversion_sell(seen, rules)
    return _nothing(Strategy.MEAN_REVERSION, "ranging, away from both edges of the channel")


def pnl_percent(action: Action, entry: float, exit_price: float) -> float | None:
    """Profit or loss in % of the entry; a SELL counts as a short, a HOLD has none."""
    if action is Action.HOLD:
        return None
    change = (exit_price - entry) * 100 / entry
    return change if action is Action.BUY else -change


def _trend_buy(seen: Situation, rules: SignalSettings) -> Signal:
    channel = seen.channel
    score = _Score(
        rules.trend_base, f"close {channel.close:g} above the channel's upper edge {channel.upper:g}"
    )
    score.add("position in the channel", seen.position, rules.buy_position)
    score.add("deviation from the upper edge", seen.deviation, rules.buy_deviation)
    score.add("RSI", seen.rsi, rules.buy_rsi)
    score.add(f"{rules.short_gain_bars}-bar gain", seen.short_gain, rules.buy_short_gain)
    score.add(f"{rules.long_gain_bars}-bar gain", seen.long_gain, rules.buy_long_gain)
    score.add("distance from the highest close", seen.from_high, rules.buy_from_high)
    score.add_if(seen.divergence is Divergence.BEARISH, "bearish divergence", rules.trend_divergence_points)
    score.add_if(seen.regime is Regime.TRENDING, "trending", rules.buy_trending_points)
    score.add("volume ratio", channel.volume_ratio, rules.trend_volume_ratio)
    score.add_if(_macd_lead(seen) > 0, "MACD above its signal", rules.trend_macd_points)
    if score.confidence < rules.hold_below:
        return score.hold(Strategy.TREND_FOLLOW, "too risky to chase")
    bought = score.order(Action.BUY, Strategy.TREND_FOLLOW, channel.close, channel.lower)
    if bought.action is Action.BUY and score.confidence < rules.small_below:
        return replace(bought, size=Size.SMALL, reasons=("small position", *bought.reasons))
    return bought


def _trend_sell(seen: Situation, rules: SignalSettings) -> Signal:
    channel = seen.channel
    score = _Score(
        rules.trend_base, f"close {channel.close:g} below the channel's lower edge {channel.lower:g}"
    )
    trending_down = seen.regime is Regime.TRENDING and channel.direction is Direction.DOWN
    score.add("position in the channel", seen.position, rules.sell_position)
    score.add("RSI", seen.rsi, rules.sell_rsi)
    score.add_if(trending_down, "trending down", rules.sell_trending_down_points)
    score.add("volume ratio", channel.volume_ratio, rules.trend_volume_ratio)
    score.add_if(_macd_lead(seen) < 0, "MACD below its signal", rules.trend_macd_points)
    score.add_if(seen.divergence is Divergence.BULLISH, "bullish divergence", rules.trend_divergence_points)
    if score.confidence < rules.hold_below:
        return score.hold(Strategy.TREND_FOLLOW, "too risky to sell into the fall")
    return score.order(Action.SELL, Strategy.TREND_FOLLOW, channel.close, channel.upper)


def _reversion_buy(seen: Situation, rules: SignalSettings) -> Signal:
    channel = seen.channel
    score = _Score(rules.reversion_base, f"ranging, near the channel's lower edge {channel.lower:g}")
    score.add("position in the channel", seen.position, rules.reversion_buy_position)
    score.add("RSI", seen.rsi, rules.reversion_buy_rsi)
    middle, stop = (channel.lower + channel.upper) / 2, channel.lower * rules.reversion_buy_stop
    return score.order(Action.BUY, Strategy.MEAN_REVERSION, channel.close, stop, middle)


def _reversion_sell(seen: Situation, rules: SignalSettings) -> Signal:
    channel = seen.channel
    score = _Score(rules.reversion_base, f"ranging, near the channel's upper edge {channel.upper:g}")
    score.add("position in the channel", seen.position, rules.reversion_sell_position)
    score.add("RSI", seen.rsi, rules.reversion_sell_rsi)
    middle, stop = (channel.lower + channel.upper) / 2, channel.upper * rules.reversion_sell_stop
    return score.order(Action.SELL, Strategy.MEAN_REVERSION, channel.close, stop, middle)


def _nothing(strategy: Strategy, reason: str) -> Signal:
    return Signal(Action.HOLD, strategy, Size.NONE, 0, (reason,))


def _macd_lead(seen: Situation) -> float:
    """The MACD minus its signal, 0 where either is unknown."""
    return 0.0 if seen.macd is None or seen.macd_signal is None else seen.macd - seen.macd_signal


def _newest(candles: Candles, name: str) -> float | None:
    value = float(series(candles, indicator(name))[-1])
    return None if np.isnan(value) else value


class _Score:
    """Collects points with their reasons."""

    def __init__(self, base: int, headline: str) -> None:
        self.headline = headline
        self.items = [Points("base", base)]

    def add(self, what: str, value: float | None, lines: Iterable[Line]) -> None:
        line = None if value is None else first_match(lines, value)
        if line is not None:
            self.items.append(Points(f"{what} {value:.2f} is {line}", line.points))

    def add_if(self, holds: bool, reason: str, points: int) -> None:
        if holds:
            self.items.append(Points(reason, points))

    @property
    def confidence(self) -> int:
        return max(0, min(100, sum(item.points for item in self.items)))

    def hold(self, strategy: Strategy, why: str) -> Signal:
        return Signal(
            Action.HOLD, strategy, Size.NONE, self.confidence, (why, *self._reasons()), tuple(self.items)
        )

    def order(
        self, action: Action, strategy: Strategy, entry: float, stop: float, take_profit: float | None = None
    ) -> Signal:
        """The signal to buy or sell at `entry`, or a HOLD when the stop is not beyond it."""
        toward_profit = 1 if action is Action.BUY else -1
        risk = toward_profit * (entry - stop)
        if risk <= 0:
            return self.hold(strategy, f"the stop {stop:g} is on the wrong side of the entry {entry:g}")
        reward = None if take_profit is None else toward_profit * (take_profit - entry) * 100 / entry
        return Signal(
            action,
            strategy,
            Size.FULL,
            self.confidence,
            self._reasons(),
            tuple(self.items),
            entry,
            stop,
            take_profit,
            risk * 100 / entry,
            reward,
        )

    def _reasons(self) -> tuple[str, ...]:
        return (self.headline, *(item.reason for item in self.items[1:]))
