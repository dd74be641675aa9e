"""From an exchange's name to the exchange."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.ccxt_wire import known_exchanges, lacking_for_orders
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.port import Exchange
from missiondesk.exchanges.sandbox.address import SANDBOXES, ccxt_urls
from missiondesk.exchanges.venues import VENUES
from missiondesk.settings import OrderTransport, Settings
from models.errors import InvalidSetting, UnknownName, VenueClosed


def open_exchange(name: str, settings: Settings, credentials: Credentials | None = None) -> Exchange:
    """`sandbox` and `sandbox_…` are this desk's local exchanges, every other name is ccxt's id of a venue.

    Asks nobody yet.

    Raises UnknownName, InvalidSetting when the sandbox's address is not set, VenueClosed.
    """
    if name in SANDBOXES:
        return _open_sandbox(name, settings, credentials)
    if name not in VENUES:
        known = known_exchanges()
        if name not in known:
            raise UnknownName("exchange", name, get_close_matches(name, [*known, *SANDBOXES]) or known)
    return _opened(name, name, settings, credentials)


def check_takes_orders(name: str) -> None:
    """Raises VenueClosed for an exchange where an order's outcome could stay unknown for ever."""
    lacking = lacking_for_orders(SANDBOXES.get(name, name))
    if lacking:
        raise VenueClosed(
            f"no live orders at {name}: to follow them to a certain end the desk needs what ccxt does not "
            f"have of it ({', '.join(lacking)}); trade there on paper, or live at another exchange"
        )


def sandbox_url(settings: Settings) -> str:
    """Where the desk's local exchange listens. Raises InvalidSetting when that is not set."""
    if settings.exchange_url is None:
        raise InvalidSetting(
            "MISSIONDESK_EXCHANGE_URL: expected the sandbox's address, got nothing; "
            "`missiondesk up` sets it for its parts, `missiondesk sandbox` prints it"
        )
    return settings.exchange_url


def _open_sandbox(name: str, settings: Settings, credentials: Credentials | None) -> Exchange:
    venue = SANDBOXES[name]
    urls = ccxt_urls(sandbox_url(settings), venue)["urls"]["api"]
    return _opened(name, venue, settings, credentials, url_overrides=urls, limit_rate=False)


def _opened(
    name: str, ccxt_id: str, settings: Settings, credentials: Credentials | None, **options: Any
) -> Exchange:
    if credentials is not None and settings.orders_over is OrderTransport.WEBSOCKET:
        # A thread and a connection that most desks do not need.
        from missiondesk.exchanges.ccxt_socket_exchange import open_socket_exchange

        return open_socket_exchange(name, ccxt_id, credentials=credentials, **options)
    return CcxtExchange(name, ccxt_id, credentials=credentials, **options)
