"""The parts of a desk, put together once per process and opened when they are first needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property

from sqlalchemy import Engine

from missiondesk.components.gateway import ComponentGateway
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.market_data import LiveMarkets
from missiondesk.exchanges.open import check_takes_orders, open_exchange
from missiondesk.exchanges.paper import PaperExchange
from missiondesk.exchanges.port import Exchange, MarketData, Trading
from missiondesk.exchanges.sandbox.address import SANDBOXES
from missiondesk.orders.gateway import OrderGateway, utc_now
from missiondesk.orders.killswitch import KillSwitch
from missiondesk.orders.strategy import StrategyGateway
from missiondesk.refresh.pace import PacedMarket
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.stored_markets import StoredMarkets
from missiondesk.settings import ExchangeChoice, Settings
from missiondesk.store.accounts import Accounts
from missiondesk.store.conditions import Conditions
from missiondesk.store.database import connect
from missiondesk.store.members import Members
from missiondesk.store.missions import Missions
from missiondesk.store.notifications import Notifications
from missiondesk.store.results import Results
from missiondesk.store.walks import Walks
from models.account import Account, Mode
from models.errors import CredentialsRefused

CredentialsOf = Callable[[Account], Credentials | None]


class Desk:
    """Stores, markets and order gateways of one process. `credentials_of` finds a live account's keys."""

    def __init__(self, settings: Settings, credentials_of: CredentialsOf) -> None:
        self.settings = settings
        self._credentials_of = credentials_of
        self._public = cache(self._open_public)
        self._private = cache(self._open_private)

    @cached_property
    def engine(self) -> Engine:
        return connect(self.settings.database_url.get_secret_value())

    @cached_property
    def missions(self) -> Missions:
        return Missions(self.engine)

    @cached_property
    def walks(self) -> Walks:
        return Walks(self.engine)

    @cached_property
    def conditions(self) -> Conditions:
        return Conditions(self.engine)

    @cached_property
    def members(self) -> Members:
        return Members(self.engine)

    @cached_property
    def results(self) -> Results:
        return Results(self.engine)

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.engine)

    @cached_property
    def markets(self) -> StoredMarkets:
        return StoredMarkets(
            self.engine, LiveMarkets(self._public), lambda: RefreshSettings.load(self.settings.home)
        )

    def market(self, exchange: str) -> MarketData:
        """The public side of an exchange, opened once; its requests keep the desk's pace."""
        return self._public(exchange)

    def market_of(self, account: Account) -> MarketData:
        """The public side of an account's exchange, asked with the account's keys where it names any."""
        exchange = self.exchange_of(account)
        if not account.credentials:
            return self._public(exchange)
        return self._paced(self._private(account.name, exchange, account.credentials))

    @property
    def default_exchange(self) -> str:
        """Where an account without an exchange of its own trades, and what market data is of."""
        return self.settings.exchange or ExchangeChoice.KRAKEN

    @cached_property
    def notifications(self) -> Notifications:
        return Notifications(self.engine)

    @cached_property
    def components(self) -> ComponentGateway:
        return ComponentGateway(self.engine, self.settings)

    def gateway(self, holder: str) -> OrderGateway:
        """The order gateway of the tick that is flow run `holder`."""
        return OrderGateway(self.engine, self._trading, self._public, holder)

    def strategy_gateway(self, run_id: int, mode: Mode) -> StrategyGateway:
        """The order gateway of a strategy's run."""
        return StrategyGateway(self.engine, self._trading, self._public, run_id, mode)

    @property
    def kill_switch(self) -> KillSwitch:
        return KillSwitch(self.engine, self._trading, self._public, clock=utc_now)

    def exchange_of(self, account: Account) -> str:
        """The exchange an account trades at: its own, or the desk's."""
        return account.exchange or self.default_exchange

    def _trading(self, account: Account, mode: Mode) -> Trading:
        if mode == "live":
            exchange = self.exchange_of(account)
            private = self._private(account.name, exchange, account.credentials)
            check_takes_orders(exchange)
            return private
        market, share = self._public(self.exchange_of(account)), self.settings.paper_participation
        return PaperExchange(self.engine, account, market, utc_now, share)

    def _open_public(self, exchange: str) -> MarketData:
        return self._paced(open_exchange(exchange, self.settings))

    def _paced(self, market: MarketData) -> MarketData:
        return market if market.name in SANDBOXES else PacedMarket(market, self.engine)

    def _open_private(self, account: str, exchange: str, credentials: str | None) -> Exchange:
        keys = self._credentials_of(Account(name=account, exchange=exchange, credentials=credentials))
        if keys is None:
            raise CredentialsRefused(
                f"account {account!r} has no keys: expected `credentials` to name an ExchangeAccount block "
                "or to be `environment`, got nothing"
            )
        return open_exchange(exchange, self.settings, keys)
