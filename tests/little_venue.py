"""A small venue that outlives its clients: each order it ever accepted is in a file, and it can misbehave."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

from missiondesk.exchanges.contracts import NetPosition, contract_of
from missiondesk.market.candles import Candles, opening_time, to_datetime, to_milliseconds
from models.errors import ExchangeUnreachable, OrderRejected, OutcomeUnknown, UnknownName
from models.market import Instrument, OrderBook, Side, Ticker, Trade
from models.order import ExchangeOrder, OrderType, Position

SYMBOL = "BTC/USD"

BITCOIN = Instrument(
    exchange="little",
    symbol=SYMBOL,
    base="BTC",
    quote="USD",
    lot=Decimal("0.0001"),
    tick=Decimal("0.1"),
    min_amount=Decimal("0.001"),
    min_cost=Decimal("5"),
    maker=Decimal("0.0016"),
    taker=Decimal("0.0026"),
)
ETHER = replace(BITCOIN, symbol="ETH/USD", base="ETH")
PERPETUAL = replace(
    BITCOIN, symbol="BTC/USD:USD", is_contract=True, settle="USD", lot=Decimal(1), min_amount=Decimal(1)
)

Fault = Literal["lose request", "lose answer", "unreachable", "reject", "slow to show"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accepted (
    number INTEGER PRIMARY KEY, client_order_id TEXT, symbol TEXT, side TEXT, type TEXT, amount TEXT,
    price TEXT, filled TEXT, average TEXT, fee TEXT, status TEXT, at TEXT, shown_from TEXT,
    reduce_only INTEGER
);
CREATE TABLE IF NOT EXISTS price (symbol TEXT PRIMARY KEY, bid TEXT, ask TEXT, at TEXT);
CREATE TABLE IF NOT EXISTS past_price (symbol TEXT, last TEXT, since TEXT);
CREATE TABLE IF NOT EXISTS balance (currency TEXT PRIMARY KEY, total TEXT);
"""


@dataclass
class LittleVenue:
    """Both sides of a venue in one SQLite file; any number of processes may open it.

    `fault` is asked at every call with the call's name. Market orders fill at once at the best price, but not
    beyond `liquidity` (a fraction); the rest of them stays open until `fill`. Limit orders rest until `fill`,
    or fill at once when they cross.
    """

    path: Path
    clock: Callable[[], datetime]
    fault: Callable[[str], Fault | None] = lambda call: None
    liquidity: Decimal = Decimal(1)
    instrument_list: Sequence[Instrument] = (BITCOIN, ETHER, PERPETUAL)
    slow_to_show_seconds: float = 5.0

    def __post_init__(self) -> None:
        with self._file() as file:
            for statement in _SCHEMA.split(";"):
                file.execute(statement)

    # The public side

    @property
    def name(self) -> str:
        return "little"

    def instruments(self) -> dict[str, Instrument]:
        return {instrument.symbol: instrument for instrument in self.instrument_list}

    def timeframes(self) -> Sequence[str]:
        return ()

    def candles(self, symbol: str, timeframe: str, *, since: datetime | None, limit: int) -> Candles:
        """Of today alone, opening at the last price before it."""
        if timeframe != "1d" or since is None:
            raise UnknownName("timeframe", timeframe, ())
        midnight = opening_time(to_milliseconds(self.clock()), "1d")
        with self._file() as file:
            row = file.execute(
                "SELECT last FROM past_price WHERE symbol = ? AND since < ? ORDER BY since DESC, rowid DESC",
                (symbol, _stamp(to_datetime(midnight))),
            ).fetchone()
        opened = float(row[0] if row else self.ticker(symbol).last)
        return Candles.from_rows([[midnight, opened, opened, opened, opened, 1]], timeframe, symbol)

    def ticker(self, symbol: str) -> Ticker:
        with self._file() as file:
            row = file.execute("SELECT bid, ask, at FROM price WHERE symbol = ?", (symbol,)).fetchone()
        if row is None:
            raise UnknownName("symbol", symbol, self.instruments())
        bid, ask = Decimal(row[0]), Decimal(row[1])
        at = datetime.fromisoformat(row[2]) if row[2] else self.clock()
        return Ticker(self.name, symbol, bid, ask, (bid + ask) / 2, at)

    def order_book(self, symbol: str, depth: int = 50) -> OrderBook:
        raise UnknownName("book", symbol, ())

    def trades(self, symbol: str, *, since: datetime, limit: int = 1000) -> Sequence[Trade]:
        return ()

    # The private side

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        self._misbehave("balances")
        with self._file() as file:
            totals = {currency: Decimal(total) for currency, total in file.execute("SELECT * FROM balance")}
        return {currency: (total, total) for currency, total in totals.items()}

    def positions(self) -> Sequence[Position]:
        self._misbehave("positions")
        with self._file() as file:
            fills = file.execute(
                "SELECT symbol, side, filled, average FROM accepted WHERE average IS NOT NULL ORDER BY number"
            ).fetchall()
        nets: dict[str, NetPosition] = {}
        for symbol, side, filled, average in fills:
            instrument = self.instruments()[symbol]
            if instrument.is_contract:
                net = nets.get(symbol, NetPosition())
                fill = (side, Decimal(filled), Decimal(average))
                nets[symbol], _ = net.traded(contract_of(instrument), *fill)
        return [Position(symbol, net.amount, net.entry_price) for symbol, net in nets.items() if net.amount]

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
        fault = self.fault("place")
        if fault == "lose request":
            raise OutcomeUnknown("the connection broke")
        if fault == "unreachable":
            raise ExchangeUnreachable("little does not answer")
        if fault == "reject":
            raise OrderRejected("insufficient funds")
        now = self.clock()
        if now > deadline:
            raise OrderRejected("deadline elapsed")
        ticker = self.ticker(symbol)
        best = ticker.ask if side == "buy" else ticker.bid
        crosses = price is None or (price >= best if side == "buy" else price <= best)
        instrument = self.instruments()[symbol]
        filled = (amount * self.liquidity) // instrument.lot * instrument.lot if crosses else Decimal(0)
        with self._file() as file:
            number = file.execute(
                "INSERT INTO accepted VALUES (NULL, ?, ?, ?, ?, ?, ?, '0', NULL, '0', 'open', ?, ?, ?)",
                (
                    client_order_id,
                    symbol,
                    side,
                    type,
                    str(amount),
                    None if price is None else str(price),
                    _stamp(now),
                    _stamp(
                        now + timedelta(seconds=self.slow_to_show_seconds if fault == "slow to show" else 0)
                    ),
                    reduce_only,
                ),
            ).lastrowid
            assert number is not None
            self._fill(file, number, filled, best, instrument.taker)
            report = self._report(file, number)
        if fault in ("lose answer", "slow to show"):
            raise OutcomeUnknown("read timeout")
        return report

    def find(
        self, client_order_id: str, symbol: str, *, since: datetime, exchange_order_id: str | None = None
    ) -> ExchangeOrder | None:
        self._misbehave("find")
        with self._file() as file:
            row = file.execute(
                "SELECT number FROM accepted"
                " WHERE client_order_id = ? AND symbol = ? AND at >= ? AND shown_from <= ?",
                (client_order_id, symbol, _stamp(since), _stamp(self.clock())),
            ).fetchone()
            return None if row is None else self._report(file, row[0])

    def cancel(self, order: ExchangeOrder) -> ExchangeOrder:
        self._misbehave("cancel")
        with self._file() as file:
            file.execute(
                "UPDATE accepted SET status = 'cancelled' WHERE number = ? AND status = 'open'",
                (int(order.exchange_order_id),),
            )
            return self._report(file, int(order.exchange_order_id))

    # What tests do to it

    def quote(self, symbol: str, bid: str, ask: str, at: datetime | None = None) -> None:
        """Set the best prices; `at` None keeps them always fresh."""
        with self._file() as file:
            row = (symbol, bid, ask, at and at.isoformat())
            file.execute("INSERT OR REPLACE INTO price VALUES (?, ?, ?, ?)", row)
            past = (symbol, str((Decimal(bid) + Decimal(ask)) / 2), _stamp(self.clock()))
            file.execute("INSERT INTO past_price VALUES (?, ?, ?)", past)

    def deposit(self, balances: Mapping[str, str]) -> None:
        with self._file() as file:
            file.executemany("INSERT OR REPLACE INTO balance VALUES (?, ?)", balances.items())

    def accepted(self) -> list[ExchangeOrder]:
        """Every order it ever accepted, oldest first."""
        with self._file() as file:
            numbers = [row[0] for row in file.execute("SELECT number FROM accepted ORDER BY number")]
            return [self._report(file, number) for number in numbers]

    def fill(self, amount: str) -> None:
        """Fill more of the newest open order, at its limit or the best price."""
        order = [order for order in self.accepted() if order.status == "open"][-1]
        ticker = self.ticker(order.symbol)
        best = ticker.ask if order.side == "buy" else ticker.bid
        maker = self.instruments()[order.symbol].maker
        with self._file() as file:
            self._fill(file, int(order.exchange_order_id), Decimal(amount), order.price or best, maker)

    def _misbehave(self, call: str) -> None:
        if self.fault(call) is not None:
            raise ExchangeUnreachable("little does not answer")

    def _fill(
        self, file: sqlite3.Connection, number: int, more: Decimal, price: Decimal, fee_rate: Decimal
    ) -> None:
        report = self._report(file, number)
        more = min(more, report.amount - report.filled)
        if more <= 0 or report.status != "open":
            return
        filled = report.filled + more
        average = (report.filled * (report.average or Decimal(0)) + more * price) / filled
        file.execute(
            "UPDATE accepted SET filled = ?, average = ?, fee = ?, status = ? WHERE number = ?",
            (
                str(filled),
                str(average),
                str(report.fee + more * price * fee_rate),
                "closed" if filled == report.amount else "open",
                number,
            ),
        )
        instrument = self.instruments()[report.symbol]
        sign = 1 if report.side == "buy" else -1
        self._credit(file, instrument.base, sign * more)
        self._credit(file, instrument.quote, -sign * more * price - more * price * fee_rate)

    def _credit(self, file: sqlite3.Connection, currency: str, change: Decimal) -> None:
        row = file.execute("SELECT total FROM balance WHERE currency = ?", (currency,)).fetchone()
        total = (Decimal(row[0]) if row else Decimal(0)) + change
        file.execute("INSERT OR REPLACE INTO balance VALUES (?, ?)", (currency, str(total)))

    def _report(self, file: sqlite3.Connection, number: int) -> ExchangeOrder:
        client_order_id, symbol, side, type, amount, price, filled, average, fee, status = file.execute(
            "SELECT client_order_id, symbol, side, type, amount, price, filled, average, fee, status"
            " FROM accepted WHERE number = ?",
            (number,),
        ).fetchone()
        mean = None if average is None else Decimal(average)
        return ExchangeOrder(
            exchange_order_id=str(number),
            client_order_id=client_order_id,
            symbol=symbol,
            side=side,
            type=type,
            amount=Decimal(amount),
            filled=Decimal(filled),
            status=status,
            price=None if price is None else Decimal(price),
            average=mean,
            cost=Decimal(filled) * (mean or 0),
            fee=Decimal(fee),
        )

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
