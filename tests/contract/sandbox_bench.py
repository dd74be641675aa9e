"""The sandbox's exchanges, opened through ccxt as the real venues are, at prices that the test sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from pydantic import SecretStr

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.sandbox.address import (
    SANDBOX_KEY,
    SANDBOX_PASSPHRASE,
    SANDBOX_SECRET,
    SANDBOXES,
    ccxt_urls,
)
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.faults import Faults
from missiondesk.exchanges.sandbox.market import Staging
from missiondesk.exchanges.sandbox.server import SandboxServer
from missiondesk.market_names import market_of
from tests.contract.exchange_contract import PRICE, START, SYMBOL, Bench, ManualClock

SPOT = {"sandbox": SYMBOL, "sandbox_okx": "BTC/USDT"}
CONTRACTS = {
    "sandbox_okx": (market_of("okex_future_btcusd_quarter", START).symbol, "BTC/USDT:USDT"),
    "sandbox_bitmex": (market_of("bitmex_future_btcusd", START).symbol,),
}
CONTRACT_MARKETS = [(name, symbol) for name, symbols in CONTRACTS.items() for symbol in symbols]


def credentials(
    key: str = SANDBOX_KEY, secret: str = SANDBOX_SECRET, passphrase: str = SANDBOX_PASSPHRASE
) -> Credentials:
    return Credentials(key=SecretStr(key), secret=SecretStr(secret), passphrase=SecretStr(passphrase))


def opened(
    server: SandboxServer,
    name: str,
    clock: ManualClock,
    keys: Credentials | None = None,
    timeout_seconds: float = 10.0,
) -> CcxtExchange:
    return CcxtExchange(
        name,
        SANDBOXES[name],
        credentials=keys or credentials(),
        url_overrides=ccxt_urls(server.url, SANDBOXES[name])["urls"]["api"],
        limit_rate=False,
        timeout_seconds=timeout_seconds,
        clock=clock,
    )


def inside(server: SandboxServer, name: str) -> tuple[Exchange, Faults]:
    """What is behind the protocol."""
    if name == "sandbox":
        return server.sandbox.exchange, server.sandbox.faults
    venue = server.sandbox.venues[SANDBOXES[name]]
    return venue.exchange, venue.faults


@contextmanager
def sandbox_bench(name: str, symbol: str) -> Iterator[Bench]:
    clock = ManualClock()
    with SandboxServer(clock=clock) as server:
        exchange, _ = inside(server, name)

        def set_price(price: Decimal) -> None:
            now = clock().timestamp()
            exchange.stage(symbol, Staging(price=price, price_since=now), now)

        set_price(PRICE)
        clock.advance(10)
        venue = opened(server, name, clock)
        yield Bench(venue, venue, clock, set_price, symbol)
