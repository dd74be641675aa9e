"""From ccxt's unified dictionaries, with numbers as text, to our values.

Everything here raises KeyError, TypeError, ValueError or ArithmeticError for what is not shaped as ccxt says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from missiondesk.exchanges.contracts import contract_of
from missiondesk.exchanges.venues import Venue
from missiondesk.market.candles import to_datetime
from models.market import Instrument, Level, OrderBook, Side, Ticker, Trade
from models.order import ExchangeOrder, OrderType, Position

_ZERO: Final = Decimal(0)

Raw = Mapping[str, Any]
Precision = Literal["steps", "decimal places", "significant digits"]
"""What ccxt's numbers of a market's precision are: it differs from exchange to exchange."""

Status = Literal["open", "closed", "cancelled", "rejected"]

_STATUSES: Final[Mapping[str, Status]] = {
    "open": "open",
    "canceling": "open",
    "closed": "closed",
    "canceled": "cancelled",
    "expired": "cancelled",
    "rejected": "rejected",
}


def instrument_of(
    exchange: str, market: Raw, inverse_unit: Decimal, precision: Precision = "steps"
) -> Instrument | None:
    """None for what we can't value or round: options, quanto contracts, and markets without steps."""
    lot, tick = (_step(market["precision"].get(name), precision) for name in ("amount", "price"))
    if market.get("option") or market.get("quanto") or not lot or not tick:
        return None
    inverse = bool(market.get("inverse"))
    contract_size = _number(market.get("contractSize")) or Decimal(1)
    limits = market["limits"]
    return Instrument(
        exchange=exchange,
        symbol=market["symbol"],
        base=market["base"],
        quote=market["quote"],
        lot=lot,
        tick=tick,
        min_amount=_number(limits["amount"].get("min")) or lot,
        min_cost=_number(limits["cost"].get("min")) or _ZERO,
        maker=_number(market.get("maker")) or _ZERO,
        taker=_number(market.get("taker")) or _ZERO,
        is_contract=bool(market.get("contract")),
        inverse=inverse,
        contract_size=contract_size * inverse_unit if inverse else contract_size,
        settle=market.get("settle"),
    )


def ticker_of(exchange: str, raw: Raw, received_at: datetime) -> Ticker | None:
    """None when a side is empty or nothing ever traded: there is no price then, least of all 0."""
    bid, ask, last = (_number(raw.get(name)) for name in ("bid", "ask", "last"))
    if not bid or not ask or not last:
        return None
    return Ticker(
        exchange=exchange,
        symbol=raw["symbol"],
        bid=bid,
        ask=ask,
        last=last,
        at=_instant(raw) or received_at,
        bid_amount=_number(raw.get("bidVolume")),
        ask_amount=_number(raw.get("askVolume")),
    )


def order_book_of(
    exchange: str, symbol: str, raw: Raw, received_at: datetime, depth: int | None = None
) -> OrderBook:
    """`depth`: of each side no more than its best so many levels."""
    return OrderBook(
        exchange=exchange,
        symbol=symbol,
        bids=tuple(sorted(map(_level, raw["bids"]), key=lambda level: -level.price))[:depth],
        asks=tuple(sorted(map(_level, raw["asks"]), key=lambda level: level.price))[:depth],
        at=_instant(raw) or received_at,
    )


def in_coins(row: Sequence[float], instrument: Instrument) -> Sequence[float]:
    """A candle's row with its volume, told in contracts, at the closing price in coins."""
    coins = row[5] * float(instrument.contract_size)
    return [*row[:5], coins / row[4] if instrument.inverse else coins]


def trade_of(raw: Raw) -> Trade:
    return Trade(
        symbol=raw["symbol"],
        side=_side(raw["side"]),
        price=_needed(raw["price"]),
        amount=_needed(raw["amount"]),
        at=to_datetime(raw["timestamp"]),
        id=raw.get("id") or "",
    )


def balances_of(raw: Raw) -> dict[str, tuple[Decimal, Decimal]]:
    totals: Mapping[str, Any] = raw["total"]
    return {
        currency: (_number(raw["free"].get(currency)) or _ZERO, _number(total) or _ZERO)
        for currency, total in totals.items()
    }


def position_of(raw: Raw, venue: Venue) -> Position | None:
    """None when it is flat."""
    amount = _signed_contracts(raw, venue.position_key)
    if amount == 0:
        return None
    return Position(
        symbol=raw["symbol"],
        amount=amount,
        entry_price=_needed(raw["entryPrice"]),
        unrealised=_number(raw.get("unrealizedPnl")) or _ZERO,
        leverage=_number(raw.get("leverage")) or Decimal(1),
    )


def _signed_contracts(raw: Raw, key: str | None) -> Decimal:
    if key is not None:
        return _needed(raw["info"].get(key))
    amount = abs(_number(raw.get("contracts")) or _ZERO)
    return -amount if raw["side"] == "short" else amount


def order_of(raw: Raw, instrument: Instrument, venue: Venue) -> ExchangeOrder:
    """Cost and fee in quote units.

    A fee paid in base is valued at the average price, one in a third currency at 0.
    """
    amount, filled = _amounts(raw, venue.amount_keys)
    average = (_number(raw.get("average")) or None) if filled else None
    type_ = _type(raw)
    return ExchangeOrder(
        exchange_order_id=_text(raw["id"]),
        client_order_id=raw.get("clientOrderId"),
        symbol=raw["symbol"],
        side=_side(raw["side"]),
        type=type_,
        amount=amount,
        filled=filled,
        status=_STATUSES[raw["status"]],
        price=(_number(raw.get("price")) or None) if type_ == "limit" else None,
        average=average,
        cost=_cost(raw, filled, average, instrument, venue.cost_key) if filled else _ZERO,
        fee=fees_of(_fees(raw), instrument, average),
        at=_instant(raw),
    )


def fees_of(fees: Iterable[Raw], instrument: Instrument, average: Decimal | None) -> Decimal:
    """Their sum in quote units; see `order_of`."""
    return sum((_fee(fee, instrument.base, instrument.quote, average) for fee in fees), _ZERO)


def _amounts(raw: Raw, keys: tuple[str, str] | None) -> tuple[Decimal, Decimal]:
    if keys is not None:
        ordered, filled = (raw["info"].get(key) for key in keys)
        return _needed(ordered), _number(filled) or _ZERO
    return _needed(raw["amount"]), _number(raw.get("filled")) or _ZERO


def _type(raw: Raw) -> OrderType:
    return "market" if raw["type"] == "market" else "limit"


def _cost(
    raw: Raw, filled: Decimal, average: Decimal | None, instrument: Instrument, cost_key: str | None
) -> Decimal:
    """What the venue says, unless it cut more off than the rounding of the average explains.

    Of contracts it is what they stand for: ccxt tells that of inverse ones in coins.
    """
    if instrument.is_contract:
        return contract_of(instrument).face(filled, average or _ZERO)
    computed = _number(raw.get("cost")) or _ZERO
    told = _number(raw["info"].get(cost_key)) if cost_key is not None else None
    if told is None or average is None:
        return computed
    exponent = average.as_tuple().exponent
    assert isinstance(exponent, int), "a price is finite"
    return told if abs(told - computed) <= filled * Decimal(1).scaleb(exponent) else computed


def _fees(raw: Raw) -> Sequence[Raw]:
    return raw.get("fees") or ([raw["fee"]] if raw.get("fee") else [])


def _fee(fee: Raw, base: str, quote: str, average: Decimal | None) -> Decimal:
    cost = _number(fee.get("cost")) or _ZERO
    match fee.get("currency"):
        case None:
            return cost
        case currency if currency == quote:
            return cost
        case currency if currency == base:
            return cost * (average or _ZERO)
        case _:
            return _ZERO


def _side(text: str) -> Side:
    if text == "buy":
        return "buy"
    if text == "sell":
        return "sell"
    raise ValueError(f"expected buy or sell, got {text!r}")


def _level(raw: Sequence[Any]) -> Level:
    return Level(price=_needed(raw[0]), amount=_needed(raw[1]))


def _instant(raw: Raw) -> datetime | None:
    return to_datetime(raw["timestamp"]) if raw.get("timestamp") else None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected an id, got {value!r}")
    return value


def _step(value: object, precision: Precision) -> Decimal | None:
    """None where there is none: with significant digits it changes with the price."""
    number = _number(value)
    if number is None or precision == "significant digits":
        return None
    return number if precision == "steps" else Decimal(1).scaleb(-int(number))


def _needed(value: object) -> Decimal:
    number = _number(value)
    if number is None:
        raise ValueError("expected a number, got nothing")
    return number


def _number(value: object) -> Decimal | None:
    if value is None:
        return None
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError(f"expected a number, got {value}")
    return number
