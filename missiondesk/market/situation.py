"""What a signal is decided from: one candle's indicators, and what the candles before it say.

Percentages are rounded to nine decimals: a gain from 1 to 1.07 is 7 and not 7.000000000000006, so that a
value which is meant to stand on a threshold does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from missiondesk.market.candles import Candles, FloatArray
from missiondesk.market.ema_channel import EmaChannel
from missiondesk.market.regime import Regime
from missiondesk.market.signal_settings import SignalSettings
from missiondesk.market.windows import window_means
from models.errors import TooFewCandles


class Divergence(StrEnum):
    """Prices moved, and the volume did not follow."""

    BEARISH = "bearish"
    BULLISH = "bullish"


@dataclass(frozen=True)
class Situation:
    """One market at one closed candle. None stands for what is undefined or has too few bars behind it.

    rsi: 0–100; macd, macd_signal: in quote units; short_gain, long_gain: % over 10 and 20 bars; from_high: %
    from the highest close of the last 365 bars, 0 or negative.
    """

    regime: Regime
    channel: EmaChannel
    rsi: float | None
    macd: float | None
    macd_signal: float | None
    short_gain: float | None
    long_gain: float | None
    from_high: float
    divergence: Divergence | None

    @property
    def position(self) -> float | None:
        """Where the close is, in % of the channel's width: 0 at its lower edge, 100 at its upper one."""
        channel = self.channel
        return percent(channel.close - channel.lower, channel.upper - channel.lower)

    @property
    def deviation(self) -> float | None:
        """How far the close is above the upper edge, in % of that edge."""
        return percent(self.channel.close - self.channel.upper, self.channel.upper)


def situation(
    candles: Candles,
    regime: Regime,
    channel: EmaChannel,
    rsi: float | None,
    macd: float | None,
    macd_signal: float | None,
    settings: SignalSettings | None = None,
) -> Situation:
    """The situation at the newest of these closed candles, whose other values are given.

    365 candles are looked at where there are as many. Raises TooFewCandles below 30.
    """
    chosen = settings or SignalSettings()
    if len(candles) < chosen.candles_needed:
        raise TooFewCandles(
            f"a signal needs {chosen.candles_needed} closed {candles.described}, got {len(candles)}"
        )
    closes = candles.close
    highest = float(closes[-chosen.high_bars :].max())
    return Situation(
        regime=regime,
        channel=channel,
        rsi=rsi,
        macd=macd,
        macd_signal=macd_signal,
        short_gain=gain(closes, chosen.short_gain_bars),
        long_gain=gain(closes, chosen.long_gain_bars),
        from_high=percent(float(closes[-1]) - highest, highest) or 0.0,
        divergence=divergence(closes, candles.volume, chosen),
    )


def percent(part: float, whole: float) -> float | None:
    """part in % of whole, None when the whole is not positive."""
    return round(part * 100 / whole, 9) if whole > 0 else None


def gain(closes: FloatArray, bars: int) -> float | None:
    """Change of the close over `bars` bars in %; None with too few of them."""
    if len(closes) <= bars:
        return None
    return percent(float(closes[-1] - closes[-1 - bars]), float(closes[-1 - bars]))


def divergence(
    closes: FloatArray, volumes: FloatArray, settings: SignalSettings | None = None
) -> Divergence | None:
    """The mean of the last 5 bars against the 5 before: a price ±5 % beyond, with a volume 20 % below."""
    limits = settings or SignalSettings()
    bars = limits.divergence_bars
    if len(closes) < 2 * bars:
        return None
    price, volume = (_change_of_means(values, bars) for values in (closes, volumes))
    if price is None or volume is None or not volume < -limits.divergence_volume_percent:
        return None
    if price > limits.divergence_price_percent:
        return Divergence.BEARISH
    return Divergence.BULLISH if price < -limits.divergence_price_percent else None


def _change_of_means(values: FloatArray, bars: int) -> float | None:
    means = window_means(values[-2 * bars :], bars)
    newer, older = float(means[-1]), float(means[0])
    return percent(newer - older, older)
