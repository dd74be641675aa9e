"""The names by which people call markets, and which market of which exchange each one is.

`okex_future_…` names roll: which contract one stands for depends on the day it is asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import count
from typing import Final, assert_never

from models.errors import InputRefused

FORMS: Final = (
    "okex_future_{btc,eth}usd_{thisweek,nextweek,quarter}",
    "bitmex_future_btcusd",
    "exchange:SYMBOL such as kraken:BTC/USD",
)


class Delivery(StrEnum):
    """When a future of OKX is delivered."""

    THIS_WEEK = "thisweek"
    NEXT_WEEK = "nextweek"
    QUARTER = "quarter"


_OKX_FUTURE: Final = re.compile(rf"okex_future_(?P<base>btc|eth)usd_(?P<delivery>{'|'.join(Delivery)})")
_BITMEX_FUTURE: Final = "bitmex_future_btcusd"
_SYMBOL: Final = re.compile(r"(?P<exchange>[a-z0-9_]+):(?P<symbol>[^\s/:{}]+/[A-Z0-9.$_-]+(:[A-Z0-9.$_-]+)?)")

_FRIDAY: Final = 4
_DELIVERY_HOUR: Final = 8
_WEEK: Final = timedelta(weeks=1)


@dataclass(frozen=True)
class NamedMarket:
    """A market as it was called, its exchange, and its unified symbol there."""

    name: str
    exchange: str
    symbol: str


def name_problem(name: str) -> str | None:
    """What is wrong with the form of a market's name; None when it has one of the forms."""
    if name == _BITMEX_FUTURE or _OKX_FUTURE.fullmatch(name) or _SYMBOL.fullmatch(name):
        return None
    return f"expected a market in one of the forms {'; '.join(FORMS)}; got {name!r}"


def market_of(name: str, now: datetime) -> NamedMarket:
    """Which market a name stands for at `now`; whether it is listed only its exchange can say.

    Raises InputRefused, with the forms, for a name that has none of them.
    """
    problem = name_problem(name)
    if problem is not None:
        raise InputRefused(problem)
    if name == _BITMEX_FUTURE:
        return NamedMarket(name, "bitmex", "BTC/USD:BTC")
    if future := _OKX_FUTURE.fullmatch(name):
        base = future["base"].upper()
        day = delivery_day(Delivery(future["delivery"]), now)
        return NamedMarket(name, "okx", f"{base}/USD:{base}-{day:%y%m%d}")
    exchange, _, symbol = name.partition(":")
    return NamedMarket(name, exchange, symbol)


def delivery_day(delivery: Delivery, now: datetime) -> date:
    """The day on which OKX delivers the contract that is listed under this alias at `now`.

    Contracts are delivered on Fridays at 08:00 UTC. The quarter's is the first that ends a quarter (the last
    Friday of March, June, September or December) and is neither this week's nor the next one's.
    """
    this_week = _next_delivery(now)
    match delivery:
        case Delivery.THIS_WEEK:
            return this_week
        case Delivery.NEXT_WEEK:
            return this_week + _WEEK
        case Delivery.QUARTER:
            later = (this_week + weeks * _WEEK for weeks in count(2))
            return next(day for day in later if ends_quarter(day))
        case other:
            assert_never(other)


def _next_delivery(now: datetime) -> date:
    moment = now.astimezone(UTC)
    day = moment.date() + timedelta(days=(_FRIDAY - moment.weekday()) % 7)
    delivered = day == moment.date() and moment.hour >= _DELIVERY_HOUR
    return day + _WEEK if delivered else day


def ends_quarter(friday: date) -> bool:
    """Whether it is the last Friday of March, June, September or December."""
    return friday.month % 3 == 0 and (friday + _WEEK).month != friday.month
