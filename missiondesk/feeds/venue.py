"""The feed of one venue: a connection that comes back, and REST while it is away."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from missiondesk.exchanges.port import MarketData
from missiondesk.feeds.asking import Askers
from missiondesk.feeds.board import Board, Place
from missiondesk.feeds.timing import Life, Timing
from missiondesk.feeds.together import together
from models.errors import CallOperator, ExchangeUnreachable, MissiondeskError
from models.market import OrderBook
from models.quote import Quote

log = logging.getLogger(__name__)

DEPTH: Final = 5
# Connections in a row without an answer to a market's subscription; then the others are left in peace.
_MOST_UNANSWERED: Final = 3

OnQuote = Callable[[Quote], object]
OnBook = Callable[[str, Callable[[], OrderBook]], object]


class Connection(Protocol):
    """What a venue's websocket offers; see `exchanges.ccxt_stream.Stream`."""

    @property
    def heard_at(self) -> float: ...

    @property
    def unanswered(self) -> Sequence[str]: ...

    async def open(self, symbols: Sequence[str]) -> None: ...

    async def wait_until_lost(self, seconds: float) -> None: ...

    async def ping(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def close(self) -> None: ...


class VenueFeed:
    """Quotes of these symbols reach `on_quote` until `run` is cancelled; `board` knows which of them count.

    rest: for while the connection is down, and to confirm the prices of quiet markets; None: neither.
    """

    def __init__(
        self,
        name: str,
        symbols: Sequence[str],
        connect: Callable[[OnQuote, OnBook], Connection],
        rest: MarketData | None,
        board: Board,
        on_quote: OnQuote,
        timing: Timing,
        chance: random.Random,
    ) -> None:
        self._name = name
        self._symbols = list(symbols)
        self._places = [Place(name, symbol) for symbol in symbols]
        self._connect = connect
        self._rest = rest
        self._board = board
        self._on_quote = on_quote
        self._timing = timing
        self._chance = chance
        self._askers = Askers()
        # The connection was lost, and the next one is not tried yet.
        self._lost = False
        # Anything, on the present connection.
        self._quoted = False
        # On how many connections in a row each market's subscription got no answer.
        self._unanswered: Counter[str] = Counter()
        self.connections = 0
        """How many were made so far."""
        self.messages: Counter[str] = Counter()
        """Order books heard so far, by symbol."""

    async def run(self) -> None:
        """Raises CallOperator when the venue is closed or refuses; waits for what passes by itself."""
        connection = self._connect(self._take, self._hear)
        try:
            await together([self._stay_connected(connection), self._fall_back()])
        finally:
            await connection.close()

    async def next_order_book(self, symbol: str) -> OrderBook:
        """As its next frame over the websocket leaves it, at least `DEPTH` levels where there are as many.

        Raises ExchangeUnreachable at once while the connection is lost, or when it is while this waits.
        """
        if self._lost:
            raise ExchangeUnreachable(f"{self._name}: there is no connection to ask over")
        return await self._askers.next_order_book(symbol)

    def _hear(self, symbol: str, book: Callable[[], OrderBook]) -> None:
        self.messages[symbol] += 1
        self._askers.answer(symbol, book)

    def _take(self, quote: Quote) -> None:
        self._quoted = True
        self._board.put(quote)
        self._on_quote(quote)

    async def _stay_connected(self, connection: Connection) -> None:
        failures = 0
        while True:
            try:
                self.connections += 1
                self._lost = False
                await connection.open(self._symbols)
                await self._watch_over(connection)
            except CallOperator:
                raise
            except MissiondeskError as error:
                # Once an outage; each further attempt says the same.
                log.log(logging.INFO if failures else logging.WARNING, "%s; connecting again", error)
            finally:
                failures = 0 if self._quoted else failures + 1
                if self._quoted:
                    self._board.lose(self._places)
                self._lost, self._quoted = True, False
                self._askers.fail(ExchangeUnreachable(f"{self._name}: the connection was lost, ask again"))
                await connection.disconnect()
            await asyncio.sleep(self._timing.delay(failures, self._chance))

    async def _watch_over(self, connection: Connection) -> None:
        """Returns when the connection is dead, or raises how it was lost."""
        loop = asyncio.get_running_loop()
        pinged_at: float | None = None
        first_books_due = loop.time() + self._timing.first_book
        while True:
            look = self._timing.until_next_look(loop.time(), connection.heard_at, pinged_at)
            await connection.wait_until_lost(min(look, max(0.0, first_books_due - loop.time())))
            if loop.time() >= first_books_due:
                first_books_due = math.inf
                if self._must_subscribe_again(connection.unanswered):
                    return
            match self._timing.life(loop.time(), connection.heard_at, pinged_at):
                case Life.ALIVE | Life.WAITING:
                    pass
                case Life.SILENT:
                    pinged_at = loop.time()
                    await connection.ping()
                case Life.DEAD:
                    silent = loop.time() - connection.heard_at
                    log.warning("%s has been silent for %.0f s; connecting again", self._name, silent)
                    return

    def _must_subscribe_again(self, unanswered: Sequence[str]) -> bool:
        """Over a new connection; not for a market that has kept silent on several already."""
        self._unanswered = Counter({symbol: self._unanswered[symbol] + 1 for symbol in unanswered})
        again = [symbol for symbol, times in self._unanswered.items() if times <= _MOST_UNANSWERED]
        if again:
            log.warning("%s: no answer for %s; connecting again", self._name, ", ".join(again))
        elif unanswered:
            log.warning("%s: still no answer for %s; waiting", self._name, ", ".join(unanswered))
        return bool(again)

    async def _fall_back(self) -> None:
        while self._rest is not None:
            await asyncio.sleep(self._timing.poll)
            for place in self._places:
                if self._is_unsure(place):
                    await self._read(self._rest, place)

    def _is_unsure(self, place: Place) -> bool:
        now, quote = datetime.now(UTC), self._board.quote(place)
        quiet = quote is None or now - quote.received_at >= self._timing.quiet
        return not self._quoted or quiet or self._board.problem(place, now) is not None

    async def _read(self, rest: MarketData, place: Place) -> None:
        asked_at = datetime.now(UTC)
        try:
            book = await asyncio.to_thread(rest.order_book, place.symbol, DEPTH)
        except MissiondeskError as error:
            log.info("%s", error)
            return
        known = self._board.quote(place)
        if known is not None and known.received_at > asked_at:
            return
        quote = quote_of(book, datetime.now(UTC))
        self._board.put(quote)
        self._on_quote(quote)


def quote_of(book: OrderBook, received_at: datetime) -> Quote:
    """The best prices of a whole book."""
    bid = book.bids[0] if book.bids else None
    ask = book.asks[0] if book.asks else None
    return Quote(
        exchange=book.exchange,
        symbol=book.symbol,
        bid=None if bid is None else bid.price,
        bid_amount=None if bid is None else bid.amount,
        ask=None if ask is None else ask.price,
        ask_amount=None if ask is None else ask.amount,
        at=book.at,
        received_at=received_at,
    )
