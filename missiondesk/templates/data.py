"""The named data templates: comparisons that have a name of their own, with their usual numbers.

Unless a text says "price", which is now, everything is read from the last closed candles; the running candle
does not count. So is the open of `price_below_open`: that of the last closed candle.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from missiondesk.templates.compare import Op, compare_operands, compare_values
from missiondesk.templates.context import Context
from missiondesk.templates.operand import IndicatorOperand, Operand, Readings, Surroundings, Value
from missiondesk.templates.params import CandleParams
from missiondesk.templates.registry import template
from models.result import Verdict


class MovingAverageParams(CandleParams):
    length: int = Field(default=20, ge=1, le=990, description="Closed candles in the mean")


class MovingAverageBandParams(MovingAverageParams):
    value: float = Field(
        default=10, gt=0, lt=100, description="Half the band's width, in percent of the mean"
    )


class BollingerParams(CandleParams):
    length: int = Field(default=20, ge=2, le=990, description="Closed candles in the mean")
    value: float = Field(default=2, gt=0, description="Population standard deviations")


class VolumeMeanParams(CandleParams):
    length: int = Field(
        default=3, ge=1, le=990, description="Closed candles in the mean, the newest included"
    )


class RsiBelowParams(CandleParams):
    length: int = Field(default=14, ge=2, le=490)
    value: float = Field(default=30, ge=0, le=100)


class RsiAboveParams(RsiBelowParams):
    value: float = Field(default=70, ge=0, le=100)


class AdxAboveParams(CandleParams):
    length: int = Field(default=14, ge=2, le=240)
    value: float = Field(default=25, ge=0, le=100)


class MacdCrossParams(CandleParams):
    fast: int = Field(default=12, ge=2, le=200)
    slow: int = Field(default=26, ge=2, le=200)
    signal: int = Field(default=9, ge=1, le=200)
    direction: Literal["up", "down"] = "up"

    @model_validator(mode="after")
    def _fast_is_faster(self) -> MacdCrossParams:
        if self.fast >= self.slow:
            raise ValueError(f"expected fast to be less than slow, got {self.fast} and {self.slow}")
        return self


class EmaChannelParams(CandleParams):
    length: int = Field(default=33, ge=2, le=490)
    direction: Literal["up", "down"] = "up"


def _of(name: str, **parameters: float) -> IndicatorOperand:
    return IndicatorOperand.model_validate({"indicator": name, **parameters})


def _around(params: CandleParams) -> Surroundings:
    return Surroundings(params.symbol, params.exchange, params.timeframe)


def _compare(
    context: Context, params: CandleParams, rule: str, left: IndicatorOperand, op: Op, *others: Operand
) -> Verdict:
    return compare_operands(context, rule, _around(params), left, op, *others)


@template("open_within_ma_band", kind="data")
def open_within_ma_band(context: Context, params: MovingAverageBandParams) -> Verdict:
    """The open lies within ± `value` percent of the moving average: 0.9·SMA(20) ≤ open ≤ 1.1·SMA(20)."""
    opening, mean = _of("open"), _of("sma", length=params.length)
    readings = Readings(context, _around(params), (opening, mean))
    average = readings.value(mean)
    factors = (1 - params.value / 100, 1 + params.value / 100)
    bounds = (Value(factor * average.now, label=f"{factor:g}·{average.label}") for factor in factors)
    return compare_values(
        "OPEN_WITHIN_MA_BAND", readings.sources, readings.value(opening), "between", *bounds
    )


@template("price_below_ma", kind="data")
def price_below_ma(context: Context, params: MovingAverageParams) -> Verdict:
    """The price now is below the moving average of the closed candles, SMA(20)."""
    mean = _of("sma", length=params.length)
    return _compare(context, params, "PRICE_BELOW_MA", _of("price"), "<", mean)


@template("price_below_lower_band", kind="data")
def price_below_lower_band(context: Context, params: BollingerParams) -> Verdict:
    """The price now is below the lower Bollinger band: mean − `value`·σ of the last `length` closes."""
    band = _of("bollinger_lower", length=params.length, deviations=params.value)
    return _compare(context, params, "PRICE_BELOW_LOWER_BAND", _of("price"), "<", band)


@template("price_above_upper_band", kind="data")
def price_above_upper_band(context: Context, params: BollingerParams) -> Verdict:
    """The price now is above the upper Bollinger band: mean + `value`·σ of the last `length` closes."""
    band = _of("bollinger_upper", length=params.length, deviations=params.value)
    return _compare(context, params, "PRICE_ABOVE_UPPER_BAND", _of("price"), ">", band)


@template("price_below_open", kind="data")
def price_below_open(context: Context, params: CandleParams) -> Verdict:
    """The price now is below the open of the last closed candle."""
    return _compare(context, params, "PRICE_BELOW_OPEN", _of("price"), "<", _of("open"))


@template("volume_above_mean", kind="data")
def volume_above_mean(context: Context, params: VolumeMeanParams) -> Verdict:
    """The volume of the last closed candle is above the mean of the last three, itself included."""
    mean = _of("volume_mean", length=params.length)
    return _compare(context, params, "VOLUME_ABOVE_MEAN", _of("volume"), ">", mean)


@template("volume_below_mean", kind="data")
def volume_below_mean(context: Context, params: VolumeMeanParams) -> Verdict:
    """The volume of the last closed candle is below the mean of the last three, itself included."""
    mean = _of("volume_mean", length=params.length)
    return _compare(context, params, "VOLUME_BELOW_MEAN", _of("volume"), "<", mean)


@template("rsi_below", kind="data")
def rsi_below(context: Context, params: RsiBelowParams) -> Verdict:
    """The relative strength index is below `value`."""
    return _compare(context, params, "RSI_BELOW", _of("rsi", length=params.length), "<", params.value)


@template("rsi_above", kind="data")
def rsi_above(context: Context, params: RsiAboveParams) -> Verdict:
    """The relative strength index is above `value`."""
    return _compare(context, params, "RSI_ABOVE", _of("rsi", length=params.length), ">", params.value)


@template("macd_cross", kind="data")
def macd_cross(context: Context, params: MacdCrossParams) -> Verdict:
    """The MACD crosses its signal line between the last two closed candles, upwards or downwards."""
    lengths = {"fast": params.fast, "slow": params.slow, "signal": params.signal}
    op: Op = "crosses_above" if params.direction == "up" else "crosses_below"
    return _compare(context, params, "MACD_CROSS", _of("macd", **lengths), op, _of("macd_signal", **lengths))


@template("adx_above", kind="data")
def adx_above(context: Context, params: AdxAboveParams) -> Verdict:
    """The average directional index, the strength of a trend either way, is above `value`."""
    return _compare(context, params, "ADX_ABOVE", _of("adx", length=params.length), ">", params.value)


@template("ema_channel_breakout", kind="data")
def ema_channel_breakout(context: Context, params: EmaChannelParams) -> Verdict:
    """The last close is above the channel's upper line, EMA(highs), or for `down` below EMA(lows)."""
    up = params.direction == "up"
    line = _of("ema_channel_upper" if up else "ema_channel_lower", length=params.length)
    return _compare(context, params, "EMA_CHANNEL_BREAKOUT", _of("close"), ">" if up else "<", line)
