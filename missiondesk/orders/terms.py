"""What the market offers for a request, asked before the intent's transaction: a slow venue locks nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from missiondesk.exchanges.port import MarketData, Trading
from missiondesk.market.candles import to_milliseconds
from missiondesk.orders.entry import Holding, holding_after
from missiondesk.orders.exposure import Book, Mark, Market, day_began
from missiondesk.orders.notional import round_price
from missiondesk.orders.sizing import Denied, Means, misfit, needs_balances
from missiondesk.store.orders import TradeOrders
from models.account import Account
from models.market import Instrument, Ticker
from models.order import TradeRequest

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Terms:
    """What an intent is decided on, beside what the database says.

    limit: the order's limit price, None at market. marks: what values the account's markets that share the
    request's quote currency, when its limits look at them; seen: every market that was looked at for it;
    midnight: the start of the day (UTC) that its gains are counted of. bid: the best one, for a sell that the
    limits weigh. position: the signed contracts that the venue shows, for requests that reduce a position in
    contracts.
    """

    instrument: Instrument
    limit: Decimal | None
    means: Means
    marks: Mapping[Market, Mark] = field(default_factory=dict)
    seen: frozenset[Market] = frozenset()
    midnight: datetime | None = None
    bid: Decimal = _ZERO
    position: Decimal | None = None


@dataclass(frozen=True)
class Quotes:
    """Asks for terms. `market` gives an exchange's public side; prices older than `price_age` are stale."""

    orders: TradeOrders
    market: Callable[[str], MarketData]
    clock: Callable[[], datetime]
    price_age: timedelta

    def terms(
        self, request: TradeRequest, instrument: Instrument, account: Account, trading: Trading
    ) -> Terms | Denied:
        """Raises ExchangeUnreachable, and DataStale for a market that is not quoted now."""
        if (problem := misfit(request, instrument)) is not None:
            return Denied(problem)
        weighs = weighs_book(account) and not request.reduce_only
        ticker = None
        sells = request.side == "sell" and not request.reduce_only
        if request.price is None or weighs or sells:
            ticker = self.market(request.exchange).ticker(request.symbol)
            if not request.reduce_only and (stale := self._staleness(ticker)) is not None:
                return Denied(stale)
        price = _price(request, instrument, ticker)
        if isinstance(price, Denied):
            return price
        means = Means(
            price=price,
            slippage=account.slippage if request.price is None else _ZERO,
            free=_free(trading) if needs_balances(request, instrument) else None,
        )
        reduces_contracts = request.reduce_only and instrument.is_contract
        terms = Terms(
            instrument,
            None if request.price is None else price,
            means,
            bid=ticker.bid if ticker is not None and sells else _ZERO,
            position=_position(trading, request.symbol) if reduces_contracts else None,
        )
        return terms if ticker is None or not weighs else self._with_marks(terms, request, ticker)

    def _with_marks(self, terms: Terms, request: TradeRequest, ticker: Ticker) -> Terms | Denied:
        midnight = day_began(self.clock())
        own = (request.exchange, request.symbol)
        book = self.orders.book(request.account, request.mode, midnight, beside=own)
        seen = book.markets | {own}
        marks = {}
        for market in seen:
            exchange, symbol = market
            instrument = (
                terms.instrument if market == own else self.market(exchange).instruments().get(symbol)
            )
            if instrument is None or instrument.quote != terms.instrument.quote:
                continue
            mark = Mark(instrument, ticker.last) if market == own else self._mark(instrument, book)
            if isinstance(mark, Denied):
                return mark
            if book.carries(market, instrument) != 0:
                mark = replace(mark, opening=self._opening(instrument, midnight) or mark.price)
            marks[market] = mark
        return replace(terms, marks=marks, seen=seen, midnight=midnight)

    def _mark(self, instrument: Instrument, book: Book) -> Mark | Denied:
        market = (instrument.exchange, instrument.symbol)
        orders = book.of(market)
        held = holding_after(orders, instrument, Holding(book.carries(market, instrument)))
        if held.amount == 0 and all(order.settled for order in orders):
            return Mark(instrument, _ZERO)  # what it was traded at is all that counts
        ticker = self.market(instrument.exchange).ticker(instrument.symbol)
        if (stale := self._staleness(ticker)) is not None:
            return Denied(stale)
        return Mark(instrument, ticker.last)

    def _opening(self, instrument: Instrument, midnight: datetime) -> Decimal | None:
        """The first price of the day; None while nothing has traded in it: the price has not moved then."""
        market = self.market(instrument.exchange)
        today = market.candles(instrument.symbol, "1d", since=midnight, limit=1)
        if len(today) == 0 or today.open_time[-1] < to_milliseconds(midnight):
            return None
        return Decimal(str(today.open[-1]))

    def _staleness(self, ticker: Ticker) -> str | None:
        age = self.clock() - ticker.at
        if age <= self.price_age:
            return None
        return (
            f"the price of {ticker.symbol} at {ticker.exchange} is stale: {age.total_seconds():.0f} s old, "
            f"expected at most {self.price_age.total_seconds():.0f} s"
        )


def weighs_book(account: Account) -> bool:
    """Whether the account's limits look at what it holds."""
    return account.max_open_exposure is not None or account.max_daily_loss is not None


def _price(request: TradeRequest, instrument: Instrument, ticker: Ticker | None) -> Decimal | Denied:
    if request.price is not None:
        price = round_price(instrument, request.price, request.side)
        return price if price > 0 else Denied(f"expected a price above 0, got {request.price:f}")
    assert ticker is not None
    best = ticker.ask if request.side == "buy" else ticker.bid
    if best <= 0 and request.reduce_only:
        best = ticker.last
    if best <= 0:
        side = "ask" if request.side == "buy" else "bid"
        return Denied(f"{request.symbol} has no {side} side at {request.exchange} now")
    return best


def _position(trading: Trading, symbol: str) -> Decimal:
    return sum((each.amount for each in trading.positions() if each.symbol == symbol), _ZERO)


def _free(trading: Trading) -> dict[str, Decimal]:
    return {currency: free for currency, (free, _) in trading.balances().items()}
