"""From the names of markets to markets that are ready to be asked and traded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from threading import Lock

from missiondesk.desk import Desk
from missiondesk.desk_file import settings_with_desk
from missiondesk.exchanges.credentials import ENVIRONMENT, Credentials, credentials_from_environment
from missiondesk.markets.listed import listed_markets
from missiondesk.markets.market import Market
from missiondesk.markets.run import MarketRun
from missiondesk.orders.gateway import utc_now
from missiondesk.strategies.accounts import accounts_for
from models.account import Account
from models.errors import CredentialsRefused


def create_markets(
    names: Iterable[str], *, account: str | Sequence[str] | None = None, desk: Desk | None = None
) -> dict[str, Market]:
    """The markets by the names given, such as `kraken:BTC/USD` or `okex_future_btcusd_quarter`.

    `account` trades in all of them, or one of a sequence in each; None means play money. Without `desk` it is
    the one that the environment tells, or that runs in this home; a desk serves the markets of one call.

    Raises InputRefused for a name in no known form and for accounts that don't go together, UnknownName,
    VenueClosed, ExchangeUnreachable, DatabaseUnreachable.
    """
    desk = desk or Desk(settings_with_desk(), _credentials_of)
    found = listed_markets(names, desk.market, utc_now())
    named = [account] if isinstance(account, str) else list(account or ())
    exchanges = [listed.named.exchange for listed in found.values()]
    accounts, mode = accounts_for(exchanges, named, desk.accounts, desk.default_exchange)
    # An exchange's client is not for several threads at once.
    turns: defaultdict[str, Lock] = defaultdict(Lock)
    markets = {}
    for (name, listed), trader in zip(found.items(), accounts, strict=True):
        place = f"{listed.named.exchange}:{listed.named.symbol}"
        run = MarketRun(desk, place, trader.name, mode)
        markets[name] = Market(listed, run, turns[listed.named.exchange])
    return markets


def _credentials_of(account: Account) -> Credentials | None:
    if not account.credentials:
        return None
    if account.credentials == ENVIRONMENT:
        return credentials_from_environment(account.name)
    raise CredentialsRefused(
        f"account {account.name!r} takes its keys from the block {account.credentials!r}, which only a desk "
        "with Prefect can read: create_markets(…, desk=flows.desk.desk_of_this_process())"
    )
