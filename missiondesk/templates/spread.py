"""Whether two markets are far enough apart to trade one against the other."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from missiondesk.market_names import FORMS, market_of, name_problem
from missiondesk.templates.compare import compare_values
from missiondesk.templates.context import Context
from missiondesk.templates.operand import Value
from missiondesk.templates.params import Params
from missiondesk.templates.registry import template
from models.errors import DataStale
from models.result import Verdict

OLDEST_TICKER: Final = timedelta(seconds=60)


def _in_a_known_form(name: str) -> str:
    problem = name_problem(name)
    if problem is not None:
        raise ValueError(problem)
    return name


MarketName = Annotated[
    str,
    AfterValidator(_in_a_known_form),
    Field(description="; ".join(FORMS), examples=["kraken:BTC/USD", "okex_future_btcusd_quarter"]),
]


class SpreadParams(Params):
    a: MarketName = Field(description="Where to sell")
    b: MarketName = Field(description="Where to buy")
    value: float
    unit: Literal["quote", "percent"] = Field(default="quote", description="percent: of the ask of b")


@template("spread_above", kind="data")
def spread_above(context: Context, params: SpreadParams) -> Verdict:
    """The executable spread, bid of `a` − ask of `b`, before fees, is above `value`.

    An empty side, or a ticker older than 60 s, is data that is not there; it is never priced 0.
    """
    bid, ask = _quoted(context, params.a, "bid"), _quoted(context, params.b, "ask")
    spread = bid - ask
    if params.unit == "percent":
        left = Value(float(spread / ask * 100), label="spread in %")
    else:
        left = Value(float(spread), label="spread")
    sources = f"{params.a} bid {bid}, {params.b} ask {ask}"
    return compare_values("SPREAD_ABOVE", sources, left, ">", Value(params.value))


def _quoted(context: Context, market: str, side: Literal["bid", "ask"]) -> Decimal:
    place = market_of(market, context.now)
    ticker = context.markets.ticker(place.exchange, place.symbol)
    price, amount = (ticker.bid, ticker.bid_amount) if side == "bid" else (ticker.ask, ticker.ask_amount)
    if price <= 0 or amount == 0:
        raise DataStale(f"{market} has no {side}")
    age = context.now - ticker.at
    if age > OLDEST_TICKER:
        raise DataStale(f"the ticker of {market} is {age.total_seconds():.0f} s old, needs at most 60 s")
    return price
