"""Where venues differ behind ccxt's unified calls, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final


@dataclass(frozen=True)
class Venue:
    """One ccxt class and what is particular about it.

    client_order_id_length: the longest id it takes (letters and digits).
    deadline_parameter: of an order, an RFC 3339 instant after which the venue refuses it, which has to lie
    within `deadline_window` of now; None where it has no such thing.
    answers: what each readable answer holds, by the end of its address; "" is for every address. Without it
    a cut answer would read as "no orders".
    offset_parameter: for venues that page their lists; others show the newest `page` entries and no more.
    page: None where it is not known how many they show: then nothing but an empty list is known to be whole.
    lists_events: whether what is no longer open is listed once for each of its events, the first one too,
    with what was left of it as its quantity.
    book_depths: the only depths it takes for an order book, ascending; empty where it takes any.
    candle_page: candles of one answer, None where every answer is the newest ones the venue has at all.
    candles_count_contracts: whether volumes of contract markets are in contracts; mostly they are in coins.
    newest_trades: how many public trades it shows, counted back from now; None where it shows those after
    any instant.
    finds_by_client_order_id: whether one order can be asked for by its client order id.
    amount_keys: what the venue itself calls the ordered and the filled amount, where ccxt mixes units up.
    position_key: what the venue itself calls the signed contracts of a position, where ccxt guesses the sign.
    orders_at_once: how many orders can be asked for together by the venue's own ids.
    cost_key: what the venue itself calls the cost of an order's fills, where ccxt works it out from an
    average price that the venue has rounded.
    fees_in_fills: for venues whose orders tell no fee, the coins in one unit of what ccxt reads in their
    fills.
    inverse_unit: of what ccxt counts in the size of an inverse contract, in quote units.
    client_options: of the ccxt client.
    wrong_keys, unlisted, undecided: texts of refusals that ccxt does not recognise as wrong keys, as a market
    that is gone, or as leaving open whether an order was taken.
    closed: why there is nothing to reach, and where to go instead.
    """

    ccxt_id: str
    client_order_id_length: int = 32
    deadline_parameter: str | None = None
    deadline_window: tuple[timedelta, timedelta] = (timedelta(0), timedelta(days=1))
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    offset_parameter: str | None = None
    page: int | None = None
    lists_events: bool = False
    book_depths: tuple[int, ...] = ()
    candle_page: int | None = 500
    candles_count_contracts: bool = False
    newest_trades: int | None = None
    finds_by_client_order_id: bool = False
    amount_keys: tuple[str, str] | None = None
    position_key: str | None = None
    orders_at_once: int = 1
    cost_key: str | None = None
    fees_in_fills: Decimal | None = None
    inverse_unit: Decimal = Decimal(1)
    client_options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    wrong_keys: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    closed: str | None = None

    def book_depth(self, wanted: int) -> int:
        """What to ask for: the smallest depth it takes that has `wanted` levels, or its largest."""
        deep_enough = (depth for depth in self.book_depths if depth >= wanted)
        return next(deep_enough, max(self.book_depths, default=wanted))


_VENUES: Final = (
    Venue(
        "kraken",
        deadline_parameter="deadline",
        # 2 to 60 seconds by its manual, less a second on the far side for the clocks.
        deadline_window=(timedelta(seconds=2), timedelta(seconds=59)),
        answers=MappingProxyType(
            {
                "": ("result",),
                "/OpenOrders": ("result", "open"),
                "/ClosedOrders": ("result", "closed"),
                "/TradesHistory": ("result", "trades"),
            }
        ),
        offset_parameter="ofs",
        candle_page=None,
        orders_at_once=20,
        cost_key="cost",
        wrong_keys=("EAPI:Invalid signature", "EAuth:Account"),
        unlisted=("EQuery:Unknown asset pair",),
        undecided=("EService:Deadline elapsed",),
    ),
    # Refuses what is older than 30 seconds by the request's own time stamp.
    Venue(
        "okx",
        page=100,
        answers=MappingProxyType({"": ("data",)}),
        candle_page=300,
        newest_trades=500,
        finds_by_client_order_id=True,
        client_options=MappingProxyType({"fetchMarkets": {"types": ["spot", "future", "swap"]}}),
    ),
    Venue(
        "krakenfutures",
        page=100,
        lists_events=True,
        client_order_id_length=100,
        deadline_parameter="processBefore",
        candle_page=2000,
    ),
    Venue(
        "bitmex",
        page=100,
        client_order_id_length=36,
        candle_page=1000,
        candles_count_contracts=True,
        amount_keys=("orderQty", "cumQty"),
        position_key="currentQty",
        fees_in_fills=Decimal("0.00000001"),
        unlisted=("symbol is invalid",),
        # In satoshis: ccxt takes BitMEX's multiplier as it is.
        inverse_unit=Decimal("0.00000001"),
        closed="BitMEX closed on 2026-09-23; Kraken Futures (`krakenfutures`) trades similar contracts",
    ),
)

_BOOK_DEPTHS: Final = {"kucoin": (20, 100), "kucoinfutures": (20, 100), "htx": (5, 10, 20, 150)}

VENUES: Final[Mapping[str, Venue]] = MappingProxyType({venue.ccxt_id: venue for venue in _VENUES})


def venue_of(ccxt_id: str) -> Venue:
    """The table's entry, or what most venues have in common."""
    return VENUES.get(ccxt_id, Venue(ccxt_id, book_depths=_BOOK_DEPTHS.get(ccxt_id, ())))
