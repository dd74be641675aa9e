"""Templates that leave a position: when a loss or gain is reached, or whatever it is by now.

Position and entry price are those of this Mission's chain, in the same account, symbol and mode; `close_all`
closes in a contract market what the venue shows of the account. Once the order is sent it is followed to its
end, even if the price has come back meanwhile.
"""

from __future__ import annotations

from pydantic import Field

from missiondesk.templates.compare import number_format
from missiondesk.templates.condition import SettableCondition
from missiondesk.templates.context import Context
from missiondesk.templates.registry import template
from missiondesk.templates.trade import Amount, CloseParams, because, close, venue_of, work
from models.account import Mode
from models.market import Side
from models.order import Position
from models.result import Verdict


class ExitParams(CloseParams):
    percent: Amount = Field(description="Loss or gain from the volume-weighted entry, in percent")
    condition: SettableCondition | None = Field(default=None, description="Set true before the order is sent")


@template("stop_loss", kind="trade")
def stop_loss(context: Context, params: ExitParams) -> Verdict:
    """Closes the position once it has lost `percent` of its entry; sets `condition` true first, if named.

    No position: not passed.
    """
    return _exit(context, params, "STOP_LOSS", "loss", -1)


@template("take_profit", kind="trade")
def take_profit(context: Context, params: ExitParams) -> Verdict:
    """Closes the position once it has gained `percent` of its entry; sets `condition` true first, if named.

    No position: not passed.
    """
    return _exit(context, params, "TAKE_PROFIT", "gain", +1)


@template("close_all", kind="trade")
def close_all(context: Context, params: CloseParams) -> Verdict:
    """Closes the position in this market, be it long or short; passes when there is none."""
    order = context.orders.started(context.key)
    if order is not None:
        return close(context, params, order.side)
    position = context.orders.closable(*_place(context, params))
    if position is None:
        return Verdict(True, "FLAT", "no position in {symbol} to close", {"symbol": params.symbol})
    return close(context, params, _closing_side(position))


def _exit(context: Context, params: ExitParams, rule: str, word: str, sign: int) -> Verdict:
    order = context.orders.started(context.key)
    if order is not None:
        return work(context, params, order.side, price=params.price, reduce_only=True)
    position = _position(context, params)
    if position is None:
        text = "no open position of this Mission in {symbol}"
        return Verdict(False, "NO_POSITION", text, {"symbol": params.symbol})
    reached = _reached(context, params, position, rule, word, sign)
    if not reached.passed:
        return reached
    if params.condition is not None:
        context.conditions.write(params.condition, True)
    return because(
        [reached], work(context, params, _closing_side(position), price=params.price, reduce_only=True)
    )


def _position(context: Context, params: CloseParams) -> Position | None:
    position = context.orders.position(*_place(context, params))
    return position if position is not None and position.amount else None


def _place(context: Context, params: CloseParams) -> tuple[str, Mode, int, str, str]:
    return context.account, context.mode, context.mission_id, venue_of(context, params), params.symbol


def _closing_side(position: Position) -> Side:
    return "sell" if position.amount > 0 else "buy"


def _reached(
    context: Context, params: ExitParams, position: Position, rule: str, word: str, sign: int
) -> Verdict:
    """Whether the gain (sign +1) or loss (sign −1) in percent of the entry has come to `params.percent`."""
    price, which = context.markets.latest_price(venue_of(context, params), params.symbol, context.now)
    rise = (price - position.entry_price) / position.entry_price * 100
    percent = sign * (rise if position.amount > 0 else -rise)
    args = {
        "word": word,
        "percent": float(percent),
        "needed": str(params.percent),
        "entry": str(position.entry_price),
        "which": which,
        "price": str(price),
    }
    shown = f"{{word}}={{percent{number_format(float(percent))}}}%, needs >= {{needed}}%"
    return Verdict(percent >= params.percent, rule, shown + " (entry {entry}, {which} {price})", args)
