"""Orders and requests for rules that need no database."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from missiondesk.orders.exposure import Entry
from models.order import LeafKey, Order, OrderStatus, TradeRequest
from tests.little_venue import BITCOIN

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

REQUEST = TradeRequest(
    key=LeafKey(1, "task", 0),
    mission_id=1,
    task_id=1,
    account="trader",
    mode="live",
    exchange=BITCOIN.exchange,
    symbol=BITCOIN.symbol,
    side="buy",
    amount=Decimal(1),
    unit="base",
)


def order(**fields: Any) -> Order:
    """A filled market buy of 1 BTC at 100 USD at noon, unless told otherwise; `filled` follows the status."""
    amount = Decimal(fields.pop("amount", 1))
    status = OrderStatus(fields.pop("status", "filled"))
    filled = Decimal(fields.pop("filled", amount if status is OrderStatus.FILLED else 0))
    return Order(
        **{
            "client_order_id": "0" * 32,
            "account": "trader",
            "exchange": BITCOIN.exchange,
            "symbol": BITCOIN.symbol,
            "side": "buy",
            "type": "market",
            "mode": "live",
            "amount": amount,
            "status": status,
            "filled": filled,
            "average": Decimal(100) if filled else None,
            "sent_at": NOON,
            "created_at": NOON,
            "updated_at": NOON,
            **fields,
        }
    )


def entry_of(made: Order) -> Entry:
    """What a book takes of an order."""
    columns = (getattr(made, name) for name in Entry._fields if name != "settled")
    return Entry(*columns, settled=made.status.is_final)
