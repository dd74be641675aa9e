"""An order from our intent to its last fill, and the id that makes it happen exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

from models.account import Mode
from models.market import Side
from models.result import Role
from models.validation import value_from_row

OrderType = Literal["market", "limit"]
AmountUnit = Literal["base", "quote", "percent", "contracts"]


class OrderStatus(StrEnum):
    """Where an order stands. Moves are made by the order gateway alone.

    INTENT    committed before anything is sent; only a winner of the one conditional update moves it to SENT,
              a later tick that finds it moves it to CANCELLED (it was never sent).
    SENT      may be at the venue; a plain answer moves it on, a lost answer makes it UNKNOWN.
    UNKNOWN   no answer; reconciliation by client order id moves it on before anything else is sent.
    OPEN      rests at the venue; fills or a cancel move it on.
    FILLED, CANCELLED, REJECTED (by the venue), DENIED (by us) are final.
    """

    INTENT = "intent"
    SENT = "sent"
    UNKNOWN = "unknown"
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    DENIED = "denied"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.DENIED, OrderStatus.REJECTED})


class Order(BaseModel):
    """One row of `trade_order`. Amounts in base units (contracts for contract markets), fee in quote.

    reduce_only: what was asked for, or a spot sell of no more than its chain of Missions held.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    client_order_id: str
    mission_id: int | None = None
    missionary_id: int | None = None
    task_id: int | None = None
    role: Role | None = None
    task_index: int | None = None
    leaf: str = ""
    strategy_run_id: int | None = None
    sequence: int | None = None
    attempt: int = 0
    account: str
    exchange: str
    symbol: str
    side: Side
    type: OrderType
    amount: Decimal
    price: Decimal | None = None
    mode: Mode
    reduce_only: bool = False
    status: OrderStatus
    reason: str = ""
    exchange_order_id: str | None = None
    filled: Decimal = Decimal(0)
    average: Decimal | None = None
    cost: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    deadline: datetime | None = None
    sent_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Order:
        return value_from_row(cls, "trade_order", row)

    @property
    def remaining(self) -> Decimal:
        return self.amount - self.filled


@dataclass(frozen=True)
class LeafKey:
    """The place in a Missionary that an order belongs to: which Task, and which leaf inside a mix.

    `leaf` is "" for a plain trade Task and a path such as "0.2" (member 2 of member 0) inside mixes.
    `task_index` is None for the Target.
    """

    missionary_id: int
    role: Role
    task_index: int | None
    leaf: str = ""

    def __str__(self) -> str:
        return f"{self.missionary_id}|{self.role}|{self.task_index}|{self.leaf}"

    @property
    def columns(self) -> Mapping[str, Any]:
        """Of the rows of this place's orders."""
        return asdict(self)


@dataclass(frozen=True)
class StrategyKey:
    """The place of a strategy's order: the how manieth one its run sends, and to which market."""

    run_id: int
    sequence: int
    exchange: str
    symbol: str

    def __str__(self) -> str:
        return f"strategy|{self.run_id}|{self.exchange}:{self.symbol}|{self.sequence}"

    @property
    def columns(self) -> Mapping[str, Any]:
        """Of the rows of this place's orders, beside the market."""
        return {"strategy_run_id": self.run_id, "sequence": self.sequence}


PlaceKey = LeafKey | StrategyKey


def client_order_id(installation: UUID, key: PlaceKey, attempt: int) -> str:
    """32 hex digits, a UUIDv5 (RFC 9562) over installation, place and attempt: the same call, the same id."""
    return uuid5(installation, f"{key}|{attempt}").hex


@dataclass(frozen=True)
class TradeRequest:
    """What a trade template asks the order gateway for; the same request is made at every tick.

    A strategy's request is of no Mission and no Task.
    amount is in `unit`: base units, quote units, contracts, or percent (0 < x ≤ 100) of what is free
    (of the position when `reduce_only`). `price` None means a market order. After `timeout_seconds` an open
    order is cancelled and the remainder tried again. `reduce_only` orders only make a position smaller: what
    its chain of Missions (or its strategy's run) opened, or with `whole_position`, in a contract market, what
    the venue shows of the account, whoever opened it.
    """

    key: PlaceKey
    mission_id: int | None
    task_id: int | None
    account: str
    mode: Mode
    exchange: str
    symbol: str
    side: Side
    amount: Decimal
    unit: AmountUnit
    price: Decimal | None = None
    timeout_seconds: float | None = None
    reduce_only: bool = False
    leverage: Decimal | None = None
    whole_position: bool = False


@dataclass(frozen=True)
class OrderProgress:
    """The gateway's answer to a TradeRequest.

    done: filled to within one lot, over all attempts. message: what happened or is awaited, for a person.
    rule: FILLED, OPEN, UNKNOWN, DENIED, REJECTED or CANCELLED. order: the newest attempt's row.
    """

    done: bool
    rule: str
    message: str
    filled: Decimal = Decimal(0)
    average: Decimal | None = None
    order: Order | None = None


@dataclass(frozen=True)
class ExchangeOrder:
    """An order as the venue reports it. `status` open, closed (filled, or done otherwise) or cancelled."""

    exchange_order_id: str
    client_order_id: str | None
    symbol: str
    side: Side
    type: OrderType
    amount: Decimal
    filled: Decimal
    status: Literal["open", "closed", "cancelled", "rejected"]
    price: Decimal | None = None
    average: Decimal | None = None
    cost: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    at: datetime | None = None


@dataclass(frozen=True)
class Position:
    """A holding: base amount of a spot Mission chain, or a contract position (negative = short)."""

    symbol: str
    amount: Decimal
    entry_price: Decimal
    unrealised: Decimal = Decimal(0)
    leverage: Decimal = Decimal(1)
