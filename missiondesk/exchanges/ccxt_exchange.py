"""A venue spoken to through ccxt: market data, and the orders of one account."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from missiondesk.exchanges import ccxt_values as values
from missiondesk.exchanges.ccxt_wire import Wire
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.order_checks import order_problem
from missiondesk.exchanges.venues import venue_of
from missiondesk.market.candles import (
    TIMEFRAMES,
    Candles,
    timeframe_milliseconds,
    to_milliseconds,
)
from models.errors import (
    DataStale,
    ExchangeUnreachable,
    InputRefused,
    MissiondeskError,
    OrderRejected,
    UnknownName,
    VenueClosed,
)
from models.market import Instrument, OrderBook, Side, Ticker, Trade
from models.order import ExchangeOrder, OrderType, Position

# How far a venue's clock may be behind ours, when orders since an instant of ours are sought there. With
# clocks further apart no order gets in: venues refuse deadlines and time stamps that are a minute off.
_CLOCK_MARGIN: Final = timedelta(minutes=1)

_LISTED_ANEW: Final = timedelta(hours=4)
_LISTED_AGAIN_AT_MOST: Final = timedelta(minutes=1)

_ASKED: Final = 100

_CANCEL_LOOKS: Final = 10
_CANCEL_PAUSE_SECONDS: Final = 0.3


def utc_now() -> datetime:
    return datetime.now(UTC)


class CcxtExchange:
    """An Exchange (see the port) by the name the desk knows it by, through the ccxt class `ccxt_id`.

    credentials None: market data only. url_overrides: ccxt's `urls.api`, for a local venue that speaks the
    same protocol. limit_rate: wait between requests as the venue asks. Not for several threads at once.
    """

    def __init__(
        self,
        name: str,
        ccxt_id: str,
        *,
        credentials: Credentials | None = None,
        url_overrides: Mapping[str, Any] | None = None,
        limit_rate: bool = True,
        timeout_seconds: float = 10.0,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises VenueClosed for a venue that can only be reached at other addresses than its own."""
        self._venue = venue_of(ccxt_id)
        if self._venue.closed is not None and url_overrides is None:
            raise VenueClosed(self._venue.closed)
        self._name = name
        self._clock = clock
        self._sleep = sleep
        self._instruments: dict[str, Instrument] | None = None
        self._read_at = self._tried_at = datetime.min.replace(tzinfo=UTC)
        self._wire = Wire(
            self._venue,
            name=name,
            credentials=credentials,
            url_overrides=url_overrides,
            limit_rate=limit_rate,
            timeout_seconds=timeout_seconds,
        )

    @property
    def name(self) -> str:
        return self._name

    def instruments(self) -> dict[str, Instrument]:
        """See the port. An old list is used on while a newer one can't be had."""
        if self._instruments is None:
            return self._read_instruments()
        if self._clock() - self._read_at < _LISTED_ANEW or self._tried_lately():
            return self._instruments
        with suppress(ExchangeUnreachable):
            self._read_instruments()
        return self._instruments

    def _tried_lately(self) -> bool:
        return self._clock() - self._tried_at < _LISTED_AGAIN_AT_MOST

    def _read_instruments(self) -> dict[str, Instrument]:
        self._tried_at = self._clock()
        self._instruments = self._wire.read(self._instruments_of, "load_markets", True)
        self._read_at = self._tried_at
        return self._instruments

    def timeframes(self) -> Sequence[str]:
        served = self._wire.client.timeframes
        return [timeframe for timeframe in TIMEFRAMES if timeframe in served]

    def candles(self, symbol: str, timeframe: str, *, since: datetime | None, limit: int) -> Candles:
        instrument = self._instrument(symbol)
        page = self._venue.candle_page
        start = None if since is None else to_milliseconds(since)
        if start is None and page is not None and limit > page:
            start = to_milliseconds(self._clock()) - limit * timeframe_milliseconds(timeframe)
        rows: dict[int, Sequence[float]] = {}
        while True:
            count = limit if start is None else page
            served = self._wire.read(
                _rows_of, "fetch_ohlcv", symbol, timeframe, start, None if page is None else count
            )
            fresh = {int(row[0]): row for row in served if int(row[0]) not in rows}
            rows |= fresh
            if start is None or page is None or not fresh or self._runs(max(fresh), timeframe):
                break
            start = max(fresh) + 1
        newest = [rows[time] for time in sorted(rows)][-limit:]
        if instrument.is_contract and self._venue.candles_count_contracts:
            newest = [values.in_coins(row, instrument) for row in newest]
        return Candles.from_rows(newest, timeframe, symbol)

    def _runs(self, opening: int, timeframe: str) -> bool:
        return opening + timeframe_milliseconds(timeframe) > to_milliseconds(self._clock())

    def ticker(self, symbol: str) -> Ticker:
        self._instrument(symbol)
        found = self._wire.read(
            lambda raw: values.ticker_of(self._name, raw, self._clock()), "fetch_ticker", symbol
        )
        if found is None:
            raise DataStale(f"{self._name} quotes no bid, ask or last price of {symbol} now")
        return found

    def order_book(self, symbol: str, depth: int = 50) -> OrderBook:
        self._instrument(symbol)
        return self._wire.read(
            lambda raw: values.order_book_of(self._name, symbol, raw, self._clock(), depth),
            "fetch_order_book",
            symbol,
            self._venue.book_depth(depth),
        )

    def trades(self, symbol: str, *, since: datetime, limit: int = 1000) -> Sequence[Trade]:
        """See the port. A venue that shows only its newest trades may leave out some right after `since`."""
        self._instrument(symbol)
        count = self._venue.newest_trades or limit
        found = self._wire.read(_trades_of, "fetch_trades", symbol, to_milliseconds(since), count)
        return sorted((trade for trade in found if trade.at >= since), key=lambda trade: trade.at)[:limit]

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        return self._wire.read(values.balances_of, "fetch_balance")

    def positions(self) -> Sequence[Position]:
        if not any(instrument.is_contract for instrument in self.instruments().values()):
            return []
        return self._wire.read(self._positions_of, "fetch_positions")

    def place(
        self,
        *,
        client_order_id: str,
        symbol: str,
        side: Side,
        type: OrderType,
        amount: Decimal,
        price: Decimal | None,
        deadline: datetime,
        reduce_only: bool = False,
        leverage: Decimal | None = None,
    ) -> ExchangeOrder:
        """See the port. A venue's answer to an order says little, so it is looked up once afterwards."""
        instrument = self._instrument(symbol)
        problem = order_problem(instrument, type, amount, price, leverage)
        problem = problem or self._id_problem(client_order_id)
        if problem is not None:
            raise OrderRejected(f"not sent to {self._name}: {problem}")
        if instrument.is_contract and leverage is not None:
            self._wire.read(_nothing, "set_leverage", _plain_number(leverage), symbol)
        parameters: dict[str, Any] = {"clientOrderId": client_order_id, **self._deadline_parameters(deadline)}
        if instrument.is_contract and reduce_only:
            parameters["reduceOnly"] = True
        exchange_order_id = self._wire.place(
            _id_of,
            symbol,
            type,
            side,
            f"{amount:f}",
            None if price is None else f"{price:f}",
            parameters,
        )
        taken = ExchangeOrder(
            exchange_order_id=exchange_order_id,
            client_order_id=client_order_id,
            symbol=symbol,
            side=side,
            type=type,
            amount=amount,
            filled=Decimal(0),
            status="open",
            price=price,
            at=self._clock(),
        )
        try:
            return self._fetch(exchange_order_id, symbol) or taken
        except MissiondeskError:
            # It is taken, whatever the look-up ran into; the next one shows its fills.
            return taken

    def find(
        self, client_order_id: str, symbol: str, *, since: datetime, exchange_order_id: str | None = None
    ) -> ExchangeOrder | None:
        """See the port. Raises ExchangeUnreachable when what the venue lists may be only a part."""
        self._instrument(symbol)
        if exchange_order_id is not None:
            known = self._fetch(exchange_order_id, symbol)
            if known is not None:
                return known
        if self._venue.finds_by_client_order_id:
            direct = self._fetch("", symbol, {"clientOrderId": client_order_id})
            if direct is not None:
                return direct
        seen: set[str] = set()
        events: list[Mapping[str, Any]] = []
        for method in self._order_lists():
            for raw in self._listed(method, symbol, since, {"clientOrderId": client_order_id}):
                if not _same_id(raw.get("clientOrderId"), client_order_id):
                    seen.add(raw["id"])
                elif self._venue.lists_events and method != "fetch_open_orders":
                    events.append(raw)
                else:
                    return self._with_fee(self._order_of(raw))
        if events:
            return self._last_of(events)
        filled: dict[str, None] = {}
        fills = self._listed("fetch_my_trades", symbol, since, {}) if self._has("fetchMyTrades") else ()
        for raw in fills:
            if raw["symbol"] == symbol and raw["order"] not in seen:
                filled[raw["order"]] = None
        for raw in self._orders_by_id(list(filled), symbol):
            if _same_id(raw.get("clientOrderId"), client_order_id):
                return self._order_of(raw)
        return None

    def cancel(self, order: ExchangeOrder) -> ExchangeOrder:
        """See the port. Raises ExchangeUnreachable when the venue still shows it open seconds later."""
        # Refused is already done, or not there: the look-up tells which.
        with suppress(OrderRejected):
            self._wire.read(_nothing, "cancel_order", order.exchange_order_id, order.symbol)
        for _ in range(_CANCEL_LOOKS):
            final = self._fetch(order.exchange_order_id, order.symbol)
            if final is None:
                raise ExchangeUnreachable(
                    f"{self._name} does not show order {order.exchange_order_id} that was to be cancelled"
                )
            if final.status != "open":
                return final
            self._sleep(_CANCEL_PAUSE_SECONDS)
        raise ExchangeUnreachable(
            f"{self._name} took the cancel of order {order.exchange_order_id} and still shows it open"
        )

    def _instrument(self, symbol: str) -> Instrument:
        instruments = self.instruments()
        if symbol not in instruments and not self._tried_lately():
            with suppress(ExchangeUnreachable):
                instruments = self._read_instruments()
        if symbol not in instruments:
            if not instruments and self._wire.precision == "significant digits":
                raise InputRefused(
                    f"no market of {self._name} has a fixed step of prices, which the desk needs"
                )
            raise unknown_symbol(self._name, symbol, instruments)
        return instruments[symbol]

    def _instruments_of(self, raw: Mapping[str, Any]) -> dict[str, Instrument]:
        unit, precision = self._venue.inverse_unit, self._wire.precision
        found = (values.instrument_of(self._name, market, unit, precision) for market in raw.values())
        return {instrument.symbol: instrument for instrument in found if instrument is not None}

    def _positions_of(self, raw: Iterable[Mapping[str, Any]]) -> list[Position]:
        found = (values.position_of(position, self._venue) for position in raw)
        return [position for position in found if position is not None]

    def _order_of(self, raw: Mapping[str, Any]) -> ExchangeOrder:
        return values.order_of(raw, self._instrument(raw["symbol"]), self._venue)

    def _fetch(
        self, exchange_order_id: str, symbol: str, parameters: Mapping[str, Any] | None = None
    ) -> ExchangeOrder | None:
        try:
            found = self._wire.read(
                self._order_of, "fetch_order", exchange_order_id, symbol, dict(parameters or {})
            )
        except OrderRejected:
            return None
        return self._with_fee(found)

    def _with_fee(self, order: ExchangeOrder) -> ExchangeOrder:
        """The order with the fee its fills tell, where the venue's orders tell none."""
        unit, instrument = self._venue.fees_in_fills, self._instrument(order.symbol)
        if unit is None or not order.filled:
            return order
        only = {"filter": {"orderID": order.exchange_order_id}}
        fills = self._wire.read(list, "fetch_my_trades", order.symbol, None, None, only)
        fee = values.fees_of((fill["fee"] for fill in fills if fill["fee"]), instrument, order.average)
        return replace(order, fee=fee * unit)

    def _last_of(self, events: Sequence[Mapping[str, Any]]) -> ExchangeOrder:
        """Raises ExchangeUnreachable for a single event that may be the order's beginning."""
        last = max(events, key=lambda raw: (Decimal(raw["filled"]), raw["status"] != "closed"))
        left = Decimal(last["info"]["quantity"])
        if len(events) == 1 and left > 0 and last["status"] != "rejected":
            raise ExchangeUnreachable(f"{self._name} does not tell yet how order {last['id']} ended")
        return self._order_of({**last, "amount": str(left + Decimal(last["filled"]))})

    def _orders_by_id(self, exchange_order_ids: Sequence[str], symbol: str) -> Iterator[Mapping[str, Any]]:
        """In as few requests as the venue lets us: each may fail, and then all has to be asked anew."""
        at_once = self._venue.orders_at_once
        for start in range(0, len(exchange_order_ids), at_once):
            wanted = list(exchange_order_ids[start : start + at_once])
            try:
                if at_once == 1:
                    yield self._wire.read(dict, "fetch_order", wanted[0], symbol)
                else:
                    yield from self._wire.read(list, "fetch_orders_by_ids", wanted, symbol)
            except OrderRejected as error:
                raise ExchangeUnreachable(f"{self._name} lists fills of orders it denies: {error}") from None

    def _order_lists(self) -> Iterator[str]:
        yield "fetch_open_orders"
        if self._has("fetchClosedOrders"):
            yield "fetch_closed_orders"
        if self._has("fetchOrders") and not (self._has("fetchClosedOrders") and self._has("fetchMyTrades")):
            yield "fetch_orders"
        if self._wire.client.has["fetchCanceledOrders"] is True:
            yield "fetch_canceled_orders"

    def _has(self, call: str) -> bool:
        return bool(self._wire.client.has.get(call))

    def _listed(
        self, method: str, symbol: str, since: datetime, parameters: Mapping[str, Any]
    ) -> Iterator[Mapping[str, Any]]:
        """Everything that the venue lists since `since`, to the last page, or an error: never a part."""
        start = to_milliseconds(since - _CLOCK_MARGIN)
        page = self._venue.page
        if method == "fetch_open_orders":
            yield from self._wire.read(list, method, symbol, None, None, dict(parameters))
        elif self._venue.offset_parameter is None:
            served = self._wire.read(list, method, symbol, start, page or _ASKED, {})
            # What ccxt leaves out of an answer (other markets) took its places there.
            entries = self._wire.entries
            yield from served
            if entries >= (page or 1):
                raise ExchangeUnreachable(
                    f"{self._name} may have more orders of {symbol} since {since:%Y-%m-%d %H:%M:%S} UTC than "
                    f"the {entries} entries it shows at once; look there by hand"
                )
        else:
            # Newest first: what is added meanwhile moves the rest to later pages, nothing is skipped.
            paged = {**parameters, "start": start // 1000}
            offset = 0
            while served := self._wire.read(
                list, method, None, None, None, {**paged, self._venue.offset_parameter: offset}
            ):
                yield from served
                offset += len(served)

    def _id_problem(self, client_order_id: str) -> str | None:
        longest = self._venue.client_order_id_length
        if len(client_order_id) <= longest and client_order_id.isalnum():
            return None
        return f"expected a client order id of at most {longest} letters and digits, got {client_order_id!r}"

    def _deadline_parameters(self, deadline: datetime) -> dict[str, str]:
        """Raises OrderRejected for a deadline too near to be told; a far one is told as a nearer one."""
        soonest, latest = (self._clock() + distance for distance in self._venue.deadline_window)
        if deadline < soonest:
            raise OrderRejected(
                f"not sent to {self._name}: expected a deadline after {soonest:%H:%M:%S.%f} UTC, "
                f"got {deadline:%H:%M:%S.%f}"
            )
        if self._venue.deadline_parameter is None:
            return {}
        told = min(deadline, latest).astimezone(UTC).replace(tzinfo=None)
        return {self._venue.deadline_parameter: f"{told.isoformat(timespec='milliseconds')}Z"}


def unknown_symbol(exchange: str, symbol: str, symbols: Collection[str]) -> UnknownName:
    """Names the likeliest ones, since a venue has thousands."""
    alike = get_close_matches(symbol, symbols, n=10, cutoff=0.5)
    return UnknownName(f"symbol of {exchange}", symbol, alike or symbols)


def _same_id(one: object, other: str) -> bool:
    # Some venues give a UUID back with its hyphens.
    return isinstance(one, str) and one.replace("-", "") == other


def _plain_number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _rows_of(raw: Iterable[Sequence[Any]]) -> list[list[float]]:
    return [[int(row[0]), *map(float, row[1:6])] for row in raw]


def _trades_of(raw: Iterable[Mapping[str, Any]]) -> list[Trade]:
    return [values.trade_of(trade) for trade in raw]


def _id_of(raw: Mapping[str, Any]) -> str:
    exchange_order_id = raw["id"]
    if not isinstance(exchange_order_id, str) or not exchange_order_id:
        raise ValueError("expected an order id")
    return exchange_order_id


def _nothing(raw: object) -> None:
    """For answers that say no more than that they came."""
