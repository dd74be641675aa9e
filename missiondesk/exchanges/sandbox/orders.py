"""An order as the exchange keeps it, and what can be wrong with one."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from models.market import Side

OrderKind = Literal["market", "limit"]
OrderStatus = Literal["open", "closed", "canceled"]


class OrderRequest(BaseModel):
    """What a client asks for. Amount in base or contracts, price in quote; `deadline` in unix seconds."""

    model_config = ConfigDict(frozen=True)

    symbol: str
    side: Side
    kind: OrderKind
    amount: Decimal
    price: Decimal | None = None
    client_id: str | None = None
    userref: int = 0
    post_only: bool = False
    immediate: bool = False
    reduce_only: bool = False
    deadline: float | None = None


class Order(BaseModel):
    """One accepted order. Times are unix seconds.

    Cost and fee are in quote, those of contracts in the asset that settles them.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    request: OrderRequest
    status: OrderStatus = "open"
    opened_at: float
    closed_at: float | None = None
    reason: str | None = None
    filled: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    fills: tuple[str, ...] = ()
    matched_until: float

    @property
    def remaining(self) -> Decimal:
        return self.request.amount - self.filled


class Fill(BaseModel):
    """One execution of an order. `number` grows by one over all fills of the exchange."""

    model_config = ConfigDict(frozen=True)

    id: str
    number: int
    order_id: str
    symbol: str
    side: Side
    kind: OrderKind
    at: float
    price: Decimal
    amount: Decimal
    cost: Decimal
    fee: Decimal
    maker: bool


class Refusal(Enum):
    """Why a request was not accepted; each venue's wire has its own words for it."""

    UNKNOWN_PAIR = "unknown pair"
    UNKNOWN_ORDER = "unknown order"
    HALTED = "the pair takes no new orders"
    DEADLINE_PASSED = "the deadline has passed"
    CLIENT_ID_IN_USE = "an open order has this client id"
    AMOUNT_TOO_PRECISE = "more decimals than a lot"
    AMOUNT_TOO_SMALL = "below the smallest amount"
    COST_TOO_SMALL = "below the smallest cost"
    PRICE_TOO_PRECISE = "more decimals than a tick"
    INSUFFICIENT_FUNDS = "more than is free"
    NOTHING_TO_REDUCE = "no position that it would reduce"


class RequestRefused(Exception):
    """Nothing happened; the wire answers with the venue's error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
