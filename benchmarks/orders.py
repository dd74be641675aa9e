"""How much later an order is at the exchange through the order gateway than through bare ccxt."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import httpx
from pydantic import SecretStr
from sqlalchemy import Engine

from benchmarks.figures import Figure
from missiondesk.desk import Desk
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.exchanges.sandbox.process import SandboxProcess
from missiondesk.settings import Settings
from missiondesk.store.accounts import Accounts
from missiondesk.store.embedded import EmbeddedPostgres
from missiondesk.store.migrate import upgrade
from missiondesk.store.missions import Missions
from missiondesk.templates.validation import check_task
from models.order import LeafKey, TradeRequest

ORDERS = 400
WARM_UP = 20
SYMBOL, AMOUNT = "BTC/USD", Decimal("0.001")
NAME, RUN = "bench", "bench-run"


def measure() -> dict[str, Figure]:
    """Market orders of one account with all limits, in turn with orders of bare ccxt under the same key."""
    with _exchange() as exchange_url, _desk(exchange_url) as desk:
        send, send_bare = _through_the_gateway(desk), _bare(exchange_url)
        ours_called, bare_called = {}, {}
        for number in range(WARM_UP + ORDERS):
            called_at = time.time()
            ours_called[send(number)] = called_at
            called_at = time.time()
            bare_called[send_bare()] = called_at
        orders = httpx.get(f"{exchange_url}/sandbox/orders", timeout=30).json()
    ours, bare = _milliseconds(orders, ours_called), _milliseconds(orders, bare_called)
    note = (
        f"from the call to the exchange having the order, {ORDERS} market orders each in turn, local sandbox"
    )
    figures = {"order_overhead_ms": (0.5, "p50"), "order_overhead_p99_ms": (0.99, "p99")}
    return {
        key: Figure(
            _quantile(ours, share) - _quantile(bare, share),
            "ms",
            "bare ccxt create_order",
            f"{name} {_quantile(ours, share):.1f} against {_quantile(bare, share):.1f} ms {note}",
        )
        for key, (share, name) in figures.items()
    }


def _milliseconds(orders: Sequence[Mapping[str, Any]], called_at: Mapping[str, float]) -> list[float]:
    """From the call to the order's acceptance, both on this machine's clock; without the first ones."""
    late = [1000 * (each["opened_at"] - called_at[each["id"]]) for each in orders if each["id"] in called_at]
    return late[WARM_UP:]


def _quantile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


def _through_the_gateway(desk: Desk) -> Callable[[int], str]:
    """Each order for the next Task of one Missionary that the run holds."""
    start = desk.walks.begin(NAME, RUN, lease_seconds=3600)
    assert start.missionary is not None
    place = LeafKey(start.missionary.id, "task", 0)
    request = TradeRequest(
        key=place,
        mission_id=start.mission.id,
        task_id=start.mission.task_ids[0],
        account=NAME,
        mode="live",
        exchange="sandbox",
        symbol=SYMBOL,
        side="buy",
        amount=AMOUNT,
        unit="base",
    )
    gateway = desk.gateway(RUN)

    def send(number: int) -> str:
        progress = gateway.work(replace(request, key=replace(place, task_index=number)), datetime.now(UTC))
        assert progress.order is not None and progress.order.exchange_order_id, progress
        return progress.order.exchange_order_id

    return send


def _bare(exchange_url: str) -> Callable[[], str]:
    client = ccxt.kraken(
        {
            "apiKey": SANDBOX_KEY,
            "secret": SANDBOX_SECRET,
            "enableRateLimit": False,
            **ccxt_urls(exchange_url),
        }
    )
    client.load_markets()
    return lambda: str(client.create_order(SYMBOL, "market", "buy", float(AMOUNT))["id"])


@contextmanager
def _exchange() -> Iterator[str]:
    with SandboxProcess(balances={"USD": Decimal(10**9)}) as exchange:
        yield exchange.url


@contextmanager
def _desk(exchange_url: str) -> Iterator[Desk]:
    """A desk with one Mission to trade for, in a home of its own, removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    postgres = EmbeddedPostgres(home)
    try:
        postgres.start()
        postgres.create_database("desk")
        upgrade(postgres.url("desk"))
        settings = Settings.load(
            {
                "MISSIONDESK_HOME": str(home),
                "MISSIONDESK_DATABASE_URL": postgres.url("desk"),
                "MISSIONDESK_EXCHANGE": "sandbox",
                "MISSIONDESK_EXCHANGE_URL": exchange_url,
            }
        )
        keys = Credentials(key=SecretStr(SANDBOX_KEY), secret=SecretStr(SANDBOX_SECRET))
        desk = Desk(settings, lambda account: keys)
        _save_mission(desk.engine)
        yield desk
        desk.engine.dispose()
    finally:
        postgres.stop()
        shutil.rmtree(home, ignore_errors=True)


def _save_mission(engine: Engine) -> None:
    far = Decimal(10**9)
    accounts, missions = Accounts(engine, actor="benchmark"), Missions(engine, actor="benchmark")
    limits = dict.fromkeys(("max_order_notional", "max_open_exposure", "max_daily_loss"), far)
    accounts.save({"name": NAME, "exchange": "sandbox", "max_orders_per_minute": 10**6, **limits})
    accounts.arm(NAME)
    buy = {"name": NAME, "template": "market_buy", "params": {"symbol": SYMBOL, "amount": str(AMOUNT)}}
    task = missions.save_task(buy, check_task)
    missions.save({"name": NAME, "task_ids": [task.id], "account": NAME, "mode": "live"})
