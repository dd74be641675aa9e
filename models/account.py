"""An exchange account as its row states it: where it trades, whether it is armed, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.validation import value_from_row

Mode = Literal["paper", "live"]

PAPER_ACCOUNT = "paper"


class Account(BaseModel):
    """Limits are in the quote currency of the symbol traded; null means no such limit.

    `credentials` names an ExchangeAccount block, or is `environment`. An empty `exchange` is the desk's own.
    `channels` are told what happens to it: `log`, `mail`, or names of blocks; None means the desk's own.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(min_length=1, max_length=200)
    exchange: str | None = None
    credentials: str | None = None
    armed: bool = False
    max_order_notional: Decimal | None = Field(default=None, gt=0)
    max_open_exposure: Decimal | None = Field(default=None, gt=0)
    max_orders_per_minute: int | None = Field(default=None, gt=0)
    max_daily_loss: Decimal | None = Field(default=None, gt=0)
    slippage: Decimal = Field(default=Decimal("0.01"), ge=0, lt=1)
    paper_balances: dict[str, Decimal] = Field(
        default_factory=lambda: {"USD": Decimal(100_000), "USDT": Decimal(100_000)}
    )
    channels: tuple[str, ...] | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Account:
        return value_from_row(cls, "account", row)
