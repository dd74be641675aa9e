"""The rows of `trade_order`: intents under the account's lock, and moves that only one process can make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from psycopg2.errors import UniqueViolation
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from missiondesk.orders.admission import DeskState, MissionState, Standing
from missiondesk.orders.exposure import Book, Entry, Market
from missiondesk.store.carried import carried_over, keep_carried
from missiondesk.store.database import transaction
from models import tables
from models.account import Account, Mode
from models.errors import UnknownName
from models.order import LeafKey, Order, OrderStatus, PlaceKey, StrategyKey, TradeRequest

_order, _account, _desk = tables.trade_order, tables.account, tables.desk
_mission, _missionary = tables.mission, tables.missionary

# Nothing but statements happens in a ledger: whoever leaves one open for so long is frozen or cut off.
_LEDGER_IDLE = "10s"

_MOVING = (
    "status",
    "reason",
    "exchange_order_id",
    "filled",
    "average",
    "cost",
    "fee",
    "deadline",
)
"""The columns that tell how far an order came."""

_UNSETTLED = tuple(str(status) for status in OrderStatus if not status.is_final)


class TradeOrders:
    """The orders of one desk. Amounts are base units or contracts, times aware UTC."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def attempts(self, key: PlaceKey) -> list[Order]:
        """Every order of one place, the first attempt first."""
        query = _ATTEMPTS_OF_STRATEGY if isinstance(key, StrategyKey) else _ATTEMPTS
        return self._read(query, key.columns)

    def get(self, client_order_id: str) -> Order:
        return self._read(select(_order).where(_order.c.client_order_id == client_order_id))[0]

    def unsettled(self, *, missionary_id: int | None = None) -> list[Order]:
        """Orders that are not final, oldest first, of all accounts or of one Missionary."""
        query = select(_order).where(_order.c.status.in_(_UNSETTLED)).order_by(_order.c.id)
        if missionary_id is not None:
            query = query.where(_order.c.missionary_id == missionary_id)
        return self._read(query)

    def of_run(self, run_id: int) -> list[Order]:
        """Every order of a strategy's run, oldest first."""
        of_run = _order.c.strategy_run_id == run_id
        return self._read(select(_order).where(of_run).order_by(_order.c.sequence, _order.c.attempt))

    def book(self, account: str, mode: Mode, midnight: datetime, *, beside: Market | None = None) -> Book:
        """What the account's limits look at, for the day that began at `midnight`.

        Without the orders of market `beside`, when given; what was carried over is of all markets.
        """
        with self._engine.connect() as connection:
            return _book(connection, account, mode, midnight, beside)

    def keep_carried(self, midnight: datetime) -> None:
        """So that books stay quick to read, however many orders there were before `midnight`."""
        with transaction(self._engine) as connection:
            keep_carried(connection, midnight)

    def chain_book(
        self, account: str, mode: Mode, mission_id: int, exchange: str, symbol: str
    ) -> list[Order]:
        """The same for one market and the Missions linked with `mission_id` by next_mission_id."""
        return self._read(_chain_book(account, mode, mission_id, exchange, symbol))

    def account(self, name: str) -> Account:
        """Raises UnknownName."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_account).where(_account.c.name == name)).mappings().one_or_none()
            if row is not None:
                return Account.from_row({**row})
            raise UnknownName("account", name, connection.scalars(select(_account.c.name)))

    def standing(self, request: TradeRequest, holder: str) -> Standing:
        """As things stand now, without any lock. Raises UnknownName for the account."""
        with self._engine.connect() as connection:
            return _standing(connection, request, holder)

    @contextmanager
    def ledger(self, account: str) -> Iterator[Ledger]:
        """One transaction in which nobody else intends an order on this account; committed on leaving.

        A process that stands still inside of it loses the lock, and the transaction with it.
        """
        with transaction(self._engine) as connection:
            connection.execute(_LOCK, {"account": account})
            yield Ledger(connection)

    def mark_sent(
        self, order: Order, holder: str, at: datetime, deadline: datetime, *, oldest: datetime
    ) -> Order | None:
        """Move an intent to sent; only whoever gets the order back may send it.

        None when it is no longer an intent, or was made before `oldest`, when its account is no longer armed
        for a live one, or `holder` no longer holds the lease of its open Missionary.
        """
        now = {
            "at": at,
            "until": deadline,
            "holder": holder,
            "sent_id": order.client_order_id,
            "oldest": oldest,
        }
        rows = self._read(_MARK_SENT, now)
        return rows[0] if rows else None

    def move(self, before: Order, after: Order, at: datetime) -> Order:
        """Write what an order became, unless someone moved it since it was read; the row as it stands now."""
        if after == before:
            return before
        as_read = {
            "moved_id": before.client_order_id,
            "status_before": before.status,
            "filled_before": before.filled,
        }
        news = {name: getattr(after, name) for name in _MOVING}
        rows = self._read(_MOVE, {**as_read, **news, "updated_at": at})
        return rows[0] if rows else self.get(before.client_order_id)

    def halt(self, *, reduce_only: bool, at: datetime) -> None:
        """Set the kill switch, once no intent is under way, and take back the intents that it now denies."""
        state = {"halted": True, "halt_reduce_only": reduce_only, "halted_at": at}
        with transaction(self._engine) as connection:
            # Whoever intends an order holds one of these locks and has read the desk row under it.
            connection.execute(select(_account.c.name).order_by(_account.c.name).with_for_update())
            connection.execute(
                upsert(_desk).values(**state).on_conflict_do_update(index_elements=[_desk.c.only], set_=state)
            )
            denied = update(_order).where(_order.c.status == OrderStatus.INTENT)
            if reduce_only:
                denied = denied.where(_order.c.reduce_only.is_(False))
            connection.execute(
                denied.values(
                    status=OrderStatus.CANCELLED, reason="not sent: the desk was halted", updated_at=at
                )
            )

    def resume(self) -> None:
        """Lift the kill switch."""
        with self._engine.connect() as connection:
            connection.execute(update(_desk).values(halted=False, halt_reduce_only=False, halted_at=None))

    def _read(self, query: Executable, parameters: Mapping[str, Any] | None = None) -> list[Order]:
        with self._engine.connect() as connection:
            return _orders(connection, query, parameters)


class Ledger:
    """What is read and written in one transaction under an account's lock."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def standing(self, request: TradeRequest, holder: str) -> Standing:
        return _standing(self._connection, request, holder)

    def book(self, account: str, mode: Mode, midnight: datetime) -> Book:
        return _book(self._connection, account, mode, midnight)

    def chain_book(
        self, account: str, mode: Mode, mission_id: int, exchange: str, symbol: str
    ) -> list[Order]:
        return _orders(self._connection, _chain_book(account, mode, mission_id, exchange, symbol))

    def run_book(self, account: str, mode: Mode, run_id: int, exchange: str, symbol: str) -> list[Order]:
        """The same for one market and the run of a strategy."""
        of_run = _order.c.strategy_run_id == run_id
        book = _resting_or_filled(account, mode, of_run, of_run)
        return _orders(self._connection, book.where(_order.c.exchange == exchange, _order.c.symbol == symbol))

    def sent_since(self, account: str, mode: Mode, since: datetime) -> int:
        """How many orders went out or are about to."""
        of_account = {"account": account, "mode": mode, "since": since}
        return self._connection.execute(_SENT_SINCE, of_account).scalar_one()

    def write(self, order: Order, denied: Order | None) -> Order | None:
        """The new row; a denial that follows another one, `denied`, takes its place instead.

        None when this attempt of the place is there already; the transaction is lost then.
        """
        if order.status is OrderStatus.DENIED and denied is not None:
            news = {"amount": order.amount, "price": order.price, "reason": order.reason}
            again = update(_order).where(
                _order.c.client_order_id == denied.client_order_id, _order.c.status == OrderStatus.DENIED
            )
            rows = _orders(
                self._connection, again.values(**news, updated_at=order.updated_at).returning(_order)
            )
        else:
            try:
                rows = _orders(self._connection, _NEW, order.model_dump())
            except IntegrityError as error:
                if isinstance(error.orig, UniqueViolation):
                    return None
                raise
        return rows[0] if rows else None


def _orders(
    connection: Connection, query: Executable, parameters: Mapping[str, Any] | None = None
) -> list[Order]:
    return [Order.from_row({**row}) for row in connection.execute(query, parameters).mappings()]


def _resting_or_filled(
    account: str | BindParameter[str],
    mode: Mode | BindParameter[str],
    filled: ColumnElement[bool],
    resting: ColumnElement[bool],
    columns: Sequence[ColumnElement[Any]] = tuple(_order.c),
) -> Select[Any]:
    """Oldest first; `filled` and `resting` narrow either kind down, each with an index of its own."""
    return (
        select(*columns)
        .where(
            _order.c.account == account,
            _order.c.mode == mode,
            or_(and_(_order.c.filled > 0, filled), and_(_order.c.status.in_(_UNSETTLED), resting)),
        )
        .order_by(_order.c.sent_at, _order.c.id)
    )


def _book(
    connection: Connection, account: str, mode: Mode, midnight: datetime, beside: Market | None = None
) -> Book:
    """The orders first: one that settles in between counts to today all the same."""
    of_day: dict[str, Any] = {"account": account, "mode": mode, "midnight": midnight}
    if beside is None:
        today = connection.execute(_TODAY, of_day)
    else:
        exchange, symbol = beside
        today = connection.execute(_TODAY_BESIDE, {**of_day, "exchange": exchange, "symbol": symbol})
    return Book([Entry._make(row) for row in today], carried_over(connection, account, mode, midnight))


def _chain_book(account: str, mode: Mode, mission_id: int, exchange: str, symbol: str) -> Select[Any]:
    chain = select(cast(literal(mission_id), BigInteger).label("id")).cte("chain", recursive=True)
    is_next = _mission.c.id == chain.c.id
    neighbour = case((is_next, _mission.c.next_mission_id), else_=_mission.c.id)
    chain = chain.union(select(neighbour).where(or_(is_next, _mission.c.next_mission_id == chain.c.id)))
    of_chain = _order.c.mission_id == func.any(func.array(select(chain.c.id).scalar_subquery()))
    return _resting_or_filled(account, mode, of_chain, of_chain).where(
        _order.c.exchange == exchange, _order.c.symbol == symbol
    )


def _leased(holder: str | BindParameter[str]) -> ColumnElement[bool]:
    """Leases run on the database's clock, which is the same for all hosts."""
    return and_(_missionary.c.holder == holder, _missionary.c.lease_expires_at > func.clock_timestamp())


def _standing(connection: Connection, request: TradeRequest, holder: str) -> Standing:
    asked = {
        "account": request.account,
        "missionary_id": request.key.missionary_id if isinstance(request.key, LeafKey) else None,
        "mission_id": request.mission_id,
        "holder": holder,
    }
    row = connection.execute(_STANDING, asked).mappings().one_or_none()
    if row is None:
        raise UnknownName("account", request.account, connection.scalars(select(_account.c.name)))
    return Standing(
        account=Account.from_row({**row}),
        desk=DeskState.from_row({**row}) if row["installation"] is not None else None,
        mission=MissionState.from_row({**row}) if row["enabled"] is not None else None,
    )


# The statements of every order are made once: to put one together takes as long as to run it.
# An intent need not reach the disk before the order's move to `sent`, which takes it along.
_LOCK = (
    select(
        func.set_config("idle_in_transaction_session_timeout", _LEDGER_IDLE, True),
        func.set_config("synchronous_commit", "off", True),
    )
    .where(_account.c.name == bindparam("account"))
    .with_for_update(of=_account)
)
_STANDING = (
    select(
        _account,
        _desk.c.installation,
        _desk.c.halted,
        _desk.c.halt_reduce_only,
        _mission.c.enabled,
        _missionary.c.ended_at.is_(None).label("open"),
        func.coalesce(_leased(bindparam("holder")), False).label("leased"),
    )
    .select_from(_account)
    .outerjoin(_desk, true())
    .outerjoin(
        _missionary,
        and_(
            _missionary.c.id == bindparam("missionary_id"),
            _missionary.c.mission_id == bindparam("mission_id"),
        ),
    )
    .outerjoin(_mission, _mission.c.id == _missionary.c.mission_id)
    .where(_account.c.name == bindparam("account"))
)
_SENT_SINCE = (
    select(func.count())
    .select_from(_order)
    .where(
        _order.c.account == bindparam("account"),
        _order.c.mode == bindparam("mode"),
        _order.c.created_at > bindparam("since"),
        or_(_order.c.sent_at.is_not(None), _order.c.status == OrderStatus.INTENT),
    )
)
_TODAY = _resting_or_filled(
    bindparam("account"),
    bindparam("mode"),
    filled=_order.c.updated_at >= bindparam("midnight"),
    resting=true(),
    columns=[
        *(_order.c[name] for name in Entry._fields if name != "settled"),
        _order.c.status.not_in(_UNSETTLED).label("settled"),
    ],
)
_TODAY_BESIDE = _TODAY.where(
    or_(_order.c.exchange != bindparam("exchange"), _order.c.symbol != bindparam("symbol"))
)
_ATTEMPTS = (
    select(_order)
    .where(
        _order.c.missionary_id == bindparam("missionary_id"),
        _order.c.role == bindparam("role"),
        _order.c.task_index.is_not_distinct_from(bindparam("task_index")),
        _order.c.leaf == bindparam("leaf"),
    )
    .order_by(_order.c.attempt)
)
_ATTEMPTS_OF_STRATEGY = (
    select(_order)
    .where(
        _order.c.strategy_run_id == bindparam("strategy_run_id"),
        _order.c.sequence == bindparam("sequence"),
    )
    .order_by(_order.c.attempt)
)
_NEW = insert(_order).returning(_order)
_MOVE = (
    update(_order)
    .where(
        _order.c.client_order_id == bindparam("moved_id"),
        _order.c.status == bindparam("status_before"),
        _order.c.filled == bindparam("filled_before"),
    )
    .values({name: bindparam(name) for name in (*_MOVING, "updated_at")})
    .returning(_order)
)
_MARK_SENT = (
    update(_order)
    .where(
        _order.c.client_order_id == bindparam("sent_id"),
        _order.c.status == OrderStatus.INTENT,
        _order.c.created_at >= bindparam("oldest"),
        or_(
            _order.c.mode != "live",
            select(_account.c.name).where(_account.c.name == _order.c.account, _account.c.armed).exists(),
        ),
        or_(
            _order.c.missionary_id.is_(None),
            select(_missionary.c.id)
            .where(
                _missionary.c.id == _order.c.missionary_id,
                _leased(bindparam("holder")),
                _missionary.c.ended_at.is_(None),
            )
            .exists(),
        ),
    )
    .values(
        status=OrderStatus.SENT,
        sent_at=bindparam("at"),
        deadline=bindparam("until"),
        updated_at=bindparam("at"),
    )
    .returning(_order)
)
