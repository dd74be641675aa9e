"""What the sandbox lists as OKX, and how OKX writes its instruments (as recorded in 2022 and 2024)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from missiondesk.exchanges.sandbox.futures import ContractPair
from missiondesk.exchanges.sandbox.pairs import Pair
from missiondesk.market_names import Delivery, delivery_day, ends_quarter

_FEES = {"maker": Decimal("0.0002"), "taker": Decimal("0.0005")}
_FACE = {"BTC": Decimal(100), "ETH": Decimal(10)}
_DECIMALS = {"BTC": 1, "ETH": 2}
_SPOT_MINIMUM = {"BTC": "0.00001", "ETH": "0.001"}
_ALIASES = {Delivery.THIS_WEEK: "this_week", Delivery.NEXT_WEEK: "next_week", Delivery.QUARTER: "quarter"}

_WEEK = timedelta(weeks=1)
_LISTED_FOR = {True: timedelta(days=189), False: timedelta(days=14)}
_BASIS = {True: 0.004, False: 0.001}
_HOUR = time(8, tzinfo=UTC)
# Those that an old state may still have orders of.
_OLDEST = datetime(2025, 1, 3, 8, tzinfo=UTC)

_BLANK = (
    *("alias", "baseCcy", "ctMult", "ctType", "ctVal", "ctValCcy", "expTime", "instFamily"),
    *("optType", "quoteCcy", "settleCcy", "stk", "uly"),
)


def okx_pairs(now: float) -> list[Pair]:
    """Spot, perpetuals, and futures until two years after `now` (unix seconds); few are listed at a time."""
    this_week = delivery_day(Delivery.THIS_WEEK, datetime.fromtimestamp(now, UTC))
    newest = datetime.combine(this_week, _HOUR) + 104 * _WEEK
    oldest = min(_OLDEST, newest - 134 * _WEEK)
    fridays = [oldest + weeks * _WEEK for weeks in range((newest - oldest) // _WEEK + 1)]
    futures = [_future(coin, friday) for coin in _FACE for friday in fridays]
    return [*map(_spot, _FACE), *map(_perpetual, _FACE), *map(_linear, _FACE), *futures]


def instrument_id(pair: Pair) -> str:
    return pair.id if isinstance(pair, ContractPair) else pair.symbol.replace("/", "-")


def instrument_type(pair: Pair) -> str:
    if not isinstance(pair, ContractPair):
        return "SPOT"
    return "SWAP" if pair.delivery is None else "FUTURES"


def written_instrument(pair: Pair, now: float) -> dict[str, Any]:
    written: dict[str, Any] = dict.fromkeys(_BLANK, "") | {
        "category": "1",
        "instId": instrument_id(pair),
        "instType": instrument_type(pair),
        "lever": "125" if isinstance(pair, ContractPair) else "10",
        "listTime": "1611916828000",
        "lotSz": f"{pair.lot.normalize():f}",
        "maxLmtSz": "1000000",
        "maxMktSz": "1000000",
        "minSz": f"{pair.order_minimum.normalize():f}",
        "state": "live",
        "tickSz": f"{pair.tick.normalize():f}",
    }
    if isinstance(pair, ContractPair):
        family = f"{pair.base}-{pair.quote}"
        return written | _terms(pair, now) | {"instFamily": family, "uly": family}
    return written | {"baseCcy": pair.base, "quoteCcy": pair.quote}


def _terms(pair: ContractPair, now: float) -> dict[str, str]:
    terms = {
        "ctMult": "1",
        "ctType": "inverse" if pair.inverse else "linear",
        "ctVal": f"{pair.size:f}",
        "ctValCcy": pair.quote if pair.inverse else pair.base,
        "settleCcy": pair.money,
    }
    if pair.delivery is None:
        return terms
    day = datetime.fromtimestamp(pair.delivery, UTC).date()
    at = datetime.fromtimestamp(now, UTC)
    alias = next((alias for word, alias in _ALIASES.items() if delivery_day(word, at) == day), "next_quarter")
    return terms | {"alias": alias, "expTime": str(int(pair.delivery * 1000))}


def _spot(coin: str) -> Pair:
    minimum = Decimal(_SPOT_MINIMUM[coin])
    fees: dict[str, Any] = {"maker": Decimal("0.001"), "taker": Decimal("0.0015")}
    return Pair(f"{coin}/USDT", _DECIMALS[coin], minimum, Decimal(0), **fees)


def _perpetual(coin: str) -> ContractPair:
    return _contract(coin, f"{coin}/USD:{coin}", f"{coin}-USD-SWAP")


def _linear(coin: str) -> ContractPair:
    return ContractPair(
        symbol=f"{coin}/USDT:USDT",
        market_id=f"{coin}-USDT-SWAP",
        underlying=f"{coin}/USDT",
        size=Decimal("0.01") if coin == "BTC" else Decimal("0.1"),
        inverse=False,
        **_sizes(coin),
    )


def _future(coin: str, delivery: datetime) -> ContractPair:
    quarterly = ends_quarter(delivery.date())
    return _contract(
        coin,
        f"{coin}/USD:{coin}-{delivery:%y%m%d}",
        f"{coin}-USD-{delivery:%y%m%d}",
        basis=_BASIS[quarterly],
        first=(delivery - _LISTED_FOR[quarterly]).timestamp(),
        delivery=delivery.timestamp(),
    )


def _contract(coin: str, symbol: str, market_id: str, **more: Any) -> ContractPair:
    return ContractPair(
        symbol=symbol,
        market_id=market_id,
        underlying=f"{coin}/USD",
        size=_FACE[coin],
        inverse=True,
        **_sizes(coin),
        **more,
    )


def _sizes(coin: str) -> dict[str, Any]:
    return {
        "price_decimals": _DECIMALS[coin],
        "tick_size": Decimal(1).scaleb(-_DECIMALS[coin]),
        "lot_size": Decimal(1),
        "order_minimum": Decimal(1),
        "cost_minimum": Decimal(0),
        **_FEES,
    }
