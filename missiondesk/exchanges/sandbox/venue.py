"""The exchanges of a sandbox beside the Kraken one: each with its own account, listing and faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from starlette.routing import Route

from missiondesk.exchanges.sandbox.address import SANDBOX_PASSPHRASE
from missiondesk.exchanges.sandbox.bitmex_listing import BITMEX_PAIRS
from missiondesk.exchanges.sandbox.bitmex_rest import BitmexAccess, BitmexRest
from missiondesk.exchanges.sandbox.control import Control
from missiondesk.exchanges.sandbox.exchange import Exchange
from missiondesk.exchanges.sandbox.faults import Faults
from missiondesk.exchanges.sandbox.futures import ContractPair, FuturesSource
from missiondesk.exchanges.sandbox.ids import bitmex_id, okx_id
from missiondesk.exchanges.sandbox.market import Market
from missiondesk.exchanges.sandbox.okx_access import OkxAccess
from missiondesk.exchanges.sandbox.okx_listing import okx_pairs
from missiondesk.exchanges.sandbox.okx_rest import OkxRest
from missiondesk.exchanges.sandbox.pairs import Pair
from missiondesk.exchanges.sandbox.source import MarketSource, SeveralSources
from missiondesk.exchanges.sandbox.state import State

Clock = Callable[[], float]
"""Unix seconds."""


@dataclass(frozen=True)
class SandboxVenue:
    """One of them; `rest` are the routes of its protocol."""

    exchange: Exchange
    faults: Faults
    state: State
    rest: tuple[Route, ...]

    def routes(self, name: str, clock: Clock) -> list[Route]:
        """Those of its protocol, and what tests may do to it under /sandbox/<name>."""
        return [*self.rest, *Control(self.exchange, self.faults, clock).routes(f"/sandbox/{name}")]


def okx_venue(
    source: MarketSource,
    state: State,
    balances: Mapping[str, Decimal],
    credentials: Mapping[str, str],
    clock: Clock,
) -> SandboxVenue:
    exchange = Exchange(_market(source, okx_pairs(clock())), state, balances, okx_id)
    faults, access = Faults(), OkxAccess(credentials, SANDBOX_PASSPHRASE)
    return SandboxVenue(exchange, faults, state, tuple(OkxRest(exchange, access, faults, clock).routes()))


def bitmex_venue(
    source: MarketSource,
    state: State,
    balances: Mapping[str, Decimal],
    credentials: Mapping[str, str],
    clock: Clock,
) -> SandboxVenue:
    exchange = Exchange(_market(source, BITMEX_PAIRS), state, balances, bitmex_id)
    faults, access = Faults(), BitmexAccess(credentials)
    return SandboxVenue(exchange, faults, state, tuple(BitmexRest(exchange, access, faults, clock).routes()))


def _market(source: MarketSource, pairs: Sequence[Pair]) -> Market:
    """Of those pairs whose prices the source has."""
    known = set(source.symbols)
    contracts = [pair for pair in pairs if isinstance(pair, ContractPair) and pair.underlying in known]
    coins = [pair for pair in pairs if not isinstance(pair, ContractPair) and pair.symbol in known]
    return Market(SeveralSources([FuturesSource(source, contracts), source]), [*coins, *contracts])
