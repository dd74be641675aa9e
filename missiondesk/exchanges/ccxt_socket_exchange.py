"""A venue whose orders go over its websocket, and all else over REST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from missiondesk.exchanges.ccxt_calls import NoAnswer, SocketCalls
from missiondesk.exchanges.ccxt_errors import Passage
from missiondesk.exchanges.ccxt_exchange import CcxtExchange, utc_now
from missiondesk.exchanges.ccxt_socket import takes_orders
from missiondesk.exchanges.ccxt_wire import Wire
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.venues import Venue, venue_of

Value = TypeVar("Value")

# These cancel by the order's id alone, and refuse to be told its symbol.
_CANCEL_WITHOUT_SYMBOL: Final = frozenset({"kraken"})


def open_socket_exchange(
    name: str, ccxt_id: str, *, credentials: Credentials, **options: Any
) -> CcxtExchange:
    """With orders over the websocket where the venue takes them there, else over REST like all the rest."""
    urls = options.get("url_overrides")
    if not takes_orders(ccxt_id) or (urls is not None and "ws" not in urls):
        return CcxtExchange(name, ccxt_id, credentials=credentials, **options)
    return SocketExchange(name, ccxt_id, credentials=credentials, **options)


class SocketExchange(CcxtExchange):
    """See there. For programs that live on: connecting and logging in takes longer than an order by REST.

    Only for venues of which `ccxt_socket.takes_orders`. Not for several threads at once.
    """

    def __init__(
        self,
        name: str,
        ccxt_id: str,
        *,
        credentials: Credentials,
        url_overrides: Mapping[str, Any] | None = None,
        limit_rate: bool = True,
        timeout_seconds: float = 10.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(
            name,
            ccxt_id,
            credentials=credentials,
            url_overrides=url_overrides,
            limit_rate=limit_rate,
            timeout_seconds=timeout_seconds,
            clock=clock,
        )
        self._calls = SocketCalls(
            name,
            venue_of(ccxt_id),
            credentials,
            url_overrides=url_overrides,
            answer_seconds=timeout_seconds,
        )
        self._wire = _SocketWire(
            venue_of(ccxt_id),
            self._calls,
            name=name,
            credentials=credentials,
            url_overrides=url_overrides,
            limit_rate=limit_rate,
            timeout_seconds=timeout_seconds,
        )

    def close(self) -> None:
        """Leave the websocket."""
        self._calls.close()


class _SocketWire(Wire):
    def __init__(self, venue: Venue, calls: SocketCalls, **options: Any) -> None:
        super().__init__(venue, **options)
        self._calls = calls

    def read(self, convert: Callable[[Any], Value], method: str, *arguments: Any) -> Value:
        try:
            return super().read(convert, method, *arguments)
        except NoAnswer as error:
            raise self._translation.while_reading(error, self._passage) from None

    def place(self, convert: Callable[[Any], Value], *arguments: Any) -> Value:
        try:
            return super().place(convert, *arguments)
        except NoAnswer as error:
            raise self._translation.while_placing(error, self._passage) from None

    def _call_once(self, convert: Callable[[Any], Value], method: str, *arguments: Any) -> Value:
        match method:
            case "create_order":
                return convert(self._over_the_socket("create_order_ws", arguments))
            case "cancel_order":
                alone = self._venue.ccxt_id in _CANCEL_WITHOUT_SYMBOL
                given = arguments[:1] if alone else arguments
                return convert(self._over_the_socket("cancel_order_ws", given))
            case _:
                return super()._call_once(convert, method, *arguments)

    def _over_the_socket(self, method: str, arguments: tuple[Any, ...]) -> Any:
        self._passage = Passage()
        return self._calls.call(method, arguments, self._passage)
