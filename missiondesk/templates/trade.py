"""Templates that send one order through the order gateway and pass when it is filled to within one lot.

The same request is made at every tick: the gateway sends once, follows the order while it is open, and after
a timeout tries the remainder. Account and mode (paper or live) are the Missionary's.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from missiondesk.templates.context import Context
from missiondesk.templates.params import MarketParams
from missiondesk.templates.registry import template
from models.errors import InputRefused
from models.market import Side
from models.order import AmountUnit, TradeRequest
from models.result import Verdict

Amount = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Leverage = Annotated[Decimal, Field(ge=1, le=1000, allow_inf_nan=False)]


class TradeParams(MarketParams):
    """amount is in `unit`: base or quote currency, contracts, or percent of what is free."""

    amount: Amount
    unit: AmountUnit = "base"
    timeout_seconds: float | None = Field(
        default=None, gt=0, description="Then an open order is cancelled and the remainder tried again"
    )

    @model_validator(mode="after")
    def _percent_of_a_whole(self) -> TradeParams:
        if self.unit == "percent" and self.amount > 100:
            raise ValueError(f"expected at most 100 percent, got {self.amount}")
        return self


class LimitParams(TradeParams):
    price: Amount


class LeveragedParams(TradeParams):
    price: Amount | None = Field(default=None, description="A limit order at this price; else a market order")
    leverage: Leverage | None = None


class CloseParams(TradeParams):
    """What is closed: by default all of the position."""

    amount: Amount = Decimal(100)
    unit: AmountUnit = "percent"
    price: Amount | None = Field(default=None, description="A limit order at this price; else a market order")

    @model_validator(mode="after")
    def _no_half_amount(self) -> CloseParams:
        given = self.model_fields_set & {"amount", "unit"}
        if len(given) == 1:
            raise ValueError(
                f"expected amount and unit together, or neither for all of it, got {given.pop()}"
            )
        return self


def work(
    context: Context,
    params: TradeParams,
    side: Side,
    *,
    price: Decimal | None = None,
    reduce_only: bool = False,
    whole_position: bool = False,
    leverage: Decimal | None = None,
) -> Verdict:
    """Send or follow the order of this place; passed when it is filled."""
    request = TradeRequest(
        key=context.key,
        mission_id=context.mission_id,
        task_id=context.task_id,
        account=context.account,
        mode=context.mode,
        exchange=venue_of(context, params),
        symbol=params.symbol,
        side=side,
        amount=params.amount,
        unit=params.unit,
        price=price,
        timeout_seconds=params.timeout_seconds,
        reduce_only=reduce_only,
        whole_position=whole_position,
        leverage=leverage,
    )
    progress = context.orders.work(request, context.now)
    return Verdict(progress.done, progress.rule, "{message}", {"message": progress.message})


def venue_of(context: Context, params: MarketParams) -> str:
    """Where an account's orders go: its own exchange. Raises InputRefused if the params name another."""
    if params.exchange not in (None, context.exchange):
        raise InputRefused(
            f"Task {context.task!r} trades at the exchange of account {context.account!r}: "
            f"expected {context.exchange} or no exchange, got {params.exchange}"
        )
    return context.exchange


def close(context: Context, params: CloseParams, side: Side) -> Verdict:
    """Reduce the account's position on a contract market, what this chain of Missions holds on any other."""
    return work(context, params, side, price=params.price, reduce_only=True, whole_position=True)


def because(reasons: Sequence[Verdict], traded: Verdict) -> Verdict:
    """The verdict of a trade, with the verdicts that led to it told first."""
    told = [reason.msg for reason in reasons] + [traded.msg]
    args = {"reasons": [dict(reason.msg_args) for reason in reasons], "message": "; ".join(told)}
    return Verdict(traded.passed, traded.rule, "{message}", args)


@template("market_buy", kind="trade")
def market_buy(context: Context, params: TradeParams) -> Verdict:
    """Buys at the market's price."""
    return work(context, params, "buy")


@template("market_sell", kind="trade")
def market_sell(context: Context, params: TradeParams) -> Verdict:
    """Sells at the market's price."""
    return work(context, params, "sell")


@template("limit_buy", kind="trade")
def limit_buy(context: Context, params: LimitParams) -> Verdict:
    """Buys at `price` or better."""
    return work(context, params, "buy", price=params.price)


@template("limit_sell", kind="trade")
def limit_sell(context: Context, params: LimitParams) -> Verdict:
    """Sells at `price` or better."""
    return work(context, params, "sell", price=params.price)


@template("long", kind="trade")
def long(context: Context, params: LeveragedParams) -> Verdict:
    """Opens or enlarges a long position; percent is of the free margin × leverage."""
    return work(context, params, "buy", price=params.price, leverage=params.leverage)


@template("short", kind="trade")
def short(context: Context, params: LeveragedParams) -> Verdict:
    """Opens or enlarges a short position; percent is of free margin × leverage. Denied on a spot market."""
    # A leverage, be it 1, asks for a contract market: what is sold on a spot market is sold, not short.
    return work(context, params, "sell", price=params.price, leverage=params.leverage or Decimal(1))


@template("close_long", kind="trade")
def close_long(context: Context, params: CloseParams) -> Verdict:
    """Sells of a long position, by default all of it; never more than there is."""
    return close(context, params, "sell")


@template("close_short", kind="trade")
def close_short(context: Context, params: CloseParams) -> Verdict:
    """Buys back of a short position, by default all of it; never more than there is."""
    return close(context, params, "buy")
