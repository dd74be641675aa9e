"""Mixes that are often wanted, ready made: a state of the market, and the trade that follows from it.

The market is asked until the order is sent; from then on the order alone counts, so that a fill passes
although the price has come back meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from missiondesk.templates.context import Context
from missiondesk.templates.data import (
    BollingerParams,
    VolumeMeanParams,
    price_above_upper_band,
    price_below_lower_band,
    volume_above_mean,
)
from missiondesk.templates.params import Timeframe
from missiondesk.templates.registry import template
from missiondesk.templates.trade import TradeParams, because, work
from models.market import Side
from models.result import Verdict


class BandBreakParams(TradeParams):
    timeframe: Timeframe
    length: int = Field(default=20, ge=2, le=990, description="Closed candles of the Bollinger band")
    value: float = Field(default=2, gt=0, description="Population standard deviations of the band")

    @property
    def band(self) -> BollingerParams:
        return BollingerParams(
            symbol=self.symbol,
            exchange=self.exchange,
            timeframe=self.timeframe,
            length=self.length,
            value=self.value,
        )

    @property
    def volume(self) -> VolumeMeanParams:
        return VolumeMeanParams(symbol=self.symbol, exchange=self.exchange, timeframe=self.timeframe)


@template("buy_on_lower_band_break", kind="mix", effect="order")
def buy_on_lower_band_break(context: Context, params: BandBreakParams) -> Verdict:
    """Buys when the price breaks the lower Bollinger band, with a volume above the mean of the last three."""
    return _trade_once(
        context,
        params,
        "buy",
        lambda: price_below_lower_band(context, params.band),
        lambda: volume_above_mean(context, params.volume),
    )


@template("sell_on_upper_band_break", kind="mix", effect="order")
def sell_on_upper_band_break(context: Context, params: BandBreakParams) -> Verdict:
    """Sells when the price breaks the upper Bollinger band."""
    return _trade_once(context, params, "sell", lambda: price_above_upper_band(context, params.band))


def _trade_once(
    context: Context, params: BandBreakParams, side: Side, *conditions: Callable[[], Verdict]
) -> Verdict:
    if context.orders.started(context.key) is not None:
        return work(context, params, side)
    reasons: list[Verdict] = []
    for condition in conditions:
        reasons.append(condition())
        if not reasons[-1].passed:
            return reasons[-1]
    return because(reasons, work(context, params, side))
