"""Our books beside the exchange's: the rows of `trade_order`, and every order a sandbox has ever taken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.request import urlopen

from sqlalchemy import text

from missiondesk.desk import Desk

_OF_FILLS = {"filled": "amount", "cost": "cost", "fee": "fee"}


def order_rows(desk: Desk) -> list[dict[str, Any]]:
    with desk.engine.connect() as connection:
        return [row._asdict() for row in connection.execute(text("SELECT * FROM trade_order ORDER BY id"))]


def orders_at(exchange_url: str) -> list[dict[str, Any]]:
    with urlopen(f"{exchange_url}/sandbox/orders", timeout=20) as answer:
        found: list[dict[str, Any]] = json.load(answer)
        return found


def check_orders(rows: Sequence[Mapping[str, Any]], orders: Sequence[Mapping[str, Any]]) -> None:
    """Each order has one row and each row that may have one its order, with every fill; all are final."""
    ours = {row["client_order_id"]: row for row in rows}
    times_sent = Counter(order["request"]["client_id"] for order in orders)
    assert set(times_sent) <= set(ours), "an order at the exchange has no row"
    assert set(times_sent.values()) == {1}, "an order is at the exchange twice"
    theirs = {order["request"]["client_id"]: order for order in orders}
    for client_order_id, row in ours.items():
        order = theirs.get(client_order_id)
        if order is None:
            assert row["status"] in ("denied", "rejected", "cancelled"), row
            assert (row["filled"], row["cost"], row["fee"]) == (0, 0, 0), row
            continue
        assert row["status"] == ("filled" if order["status"] == "closed" else "cancelled"), (row, order)
        assert row["exchange_order_id"] == order["id"], (row, order)
        for column, name in _OF_FILLS.items():
            of_fills = sum((Decimal(fill[name]) for fill in order["fills"]), Decimal(0))
            assert row[column] == Decimal(order[column]) == of_fills, (column, row, order)
