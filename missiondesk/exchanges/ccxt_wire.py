"""The module that imports ccxt (`ccxt_socket` has ccxt.pro): makes its client strict, its errors ours.

ccxt is imported at the first call, not with this module: that takes seconds.
"""

from __future__ import annotations

import decimal
import logging
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from missiondesk.exchanges.ccxt_errors import Passage, Translation
from missiondesk.exchanges.ccxt_values import Precision
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.venues import Venue

Value = TypeVar("Value")

_NONCE_ATTEMPTS: Final = 3

# What reading an answer runs into that is not shaped as the venue's manual says.
MALFORMED: Final = (TypeError, KeyError, IndexError, AttributeError, ValueError, ArithmeticError)


def known_exchanges() -> list[str]:
    """The ids of every exchange that the installed ccxt speaks to."""
    import ccxt

    return list(ccxt.exchanges)


@cache
def lacking_for_orders(ccxt_id: str) -> tuple[str, ...]:
    """What ccxt lacks of an exchange without which an order could not be followed to a certain end."""
    import ccxt

    has = getattr(ccxt, ccxt_id)().has
    needed = ("createOrder", "cancelOrder", "fetchBalance", "fetchOrder", "fetchOpenOrders")
    lacking = tuple(name for name in needed if not has.get(name))
    # Either tells of an order that filled in part and was cancelled then; closed orders leave it out.
    shows_fills = has.get("fetchMyTrades") or has.get("fetchOrders")
    return lacking if shows_fills else (*lacking, "fetchMyTrades or fetchOrders")


def _foreign_errors() -> tuple[type[Exception], ...]:
    import ccxt

    return (ccxt.BaseError, *MALFORMED)


class Wire:
    """A ccxt client of one venue. `read` may be repeated by the caller; `place` sends at most one order.

    Numbers come as text. Not for several threads at once.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        name: str,
        credentials: Credentials | None,
        url_overrides: Mapping[str, Any] | None,
        limit_rate: bool,
        timeout_seconds: float,
    ) -> None:
        self._venue = venue
        self._credentials = credentials
        self._url_overrides = url_overrides
        self._limit_rate = limit_rate
        self._timeout_seconds = timeout_seconds
        self._translation = Translation(name, venue, credentials)
        self._passage = Passage()
        self.entries = 0
        """Of the longest list in the answers to the last call, before ccxt left anything out."""

    @cached_property
    def client(self) -> Any:
        """For what needs no request: `timeframes`, `has`."""
        import ccxt

        # At DEBUG it logs the headers and bodies of signed requests.
        logging.getLogger("ccxt").setLevel(logging.INFO)
        options: dict[str, Any] = {
            "enableRateLimit": self._limit_rate,
            "timeout": int(self._timeout_seconds * 1000),
            "options": dict(self._venue.client_options),
        }
        if self._url_overrides is not None:
            options["urls"] = {"api": dict(self._url_overrides)}
        if self._credentials is not None:
            options |= self._credentials.for_ccxt()
        client = getattr(ccxt, self._venue.ccxt_id)(options)
        client.number = str
        self._make_strict(client)
        return client

    @property
    def precision(self) -> Precision:
        import ccxt

        modes: dict[int, Precision] = {
            ccxt.TICK_SIZE: "steps",
            ccxt.DECIMAL_PLACES: "decimal places",
            ccxt.SIGNIFICANT_DIGITS: "significant digits",
        }
        return modes[self.client.precisionMode]

    def read(self, convert: Callable[[Any], Value], method: str, *arguments: Any) -> Value:
        """The converted answer of a call that changes nothing, or that may be made twice.

        Raises ExchangeUnreachable, CredentialsRefused, VenueClosed, InputRefused for what the venue lacks, or
        OrderRejected: the venue knows no such order, or it is already done.
        """
        try:
            return self._call(convert, method, *arguments)
        except _foreign_errors() as error:
            raise self._translation.while_reading(error, self._passage) from None

    def place(self, convert: Callable[[Any], Value], *arguments: Any) -> Value:
        """The converted answer to `create_order`; the markets have to be loaded before.

        Raises OutcomeUnknown unless it is certain that the venue took no order; if it is, OrderRejected,
        CredentialsRefused, VenueClosed, or ExchangeUnreachable (it may be placed again).
        """
        try:
            return self._call(convert, "create_order", *arguments)
        except _foreign_errors() as error:
            raise self._translation.while_placing(error, self._passage) from None

    def _call(self, convert: Callable[[Any], Value], method: str, *arguments: Any) -> Value:
        import ccxt

        for _ in range(_NONCE_ATTEMPTS - 1):
            try:
                return self._call_once(convert, method, *arguments)
            except ccxt.InvalidNonce:
                # The venue read the nonce and nothing else: another process used a later one of this key.
                if not self._passage.answered:
                    raise
        return self._call_once(convert, method, *arguments)

    def _call_once(self, convert: Callable[[Any], Value], method: str, *arguments: Any) -> Value:
        self._passage = Passage()
        self.entries = 0
        # ccxt changes the rounding of the decimal context it is called in.
        with decimal.localcontext():
            return convert(getattr(self.client, method)(*arguments))

    def _make_strict(self, client: Any) -> None:
        """Note how far each request came, and refuse answers that ccxt would take for empty ones."""
        import ccxt

        fetch, handle_errors = client.fetch, client.handle_errors
        handle_http_status_code, nonce = client.handle_http_status_code, client.nonce
        last_nonce = 0

        def checked_fetch(url: str, *arguments: Any) -> Any:
            self._passage.sent = True
            answer = fetch(url, *arguments)
            problem = _unreadable(answer, url, self._venue.answers)
            if problem is not None:
                raise ccxt.BadResponse(f"unreadable answer to {urlsplit(url).path}: {problem}")
            self.entries = max(self.entries, _longest(answer))
            return answer

        def noted_errors(*arguments: Any) -> Any:
            try:
                return handle_errors(*arguments)
            except ccxt.BaseError:
                self._passage.answered = True
                raise

        def noted_status(code: int, reason: str, url: str, method: str, body: str) -> Any:
            self._passage.turned_away = 400 <= code < 500 and code != 408
            # Without the body: it may hold anything, the request included.
            return handle_http_status_code(code, reason, url, method, "")

        def rising_nonce() -> int:
            nonlocal last_nonce
            last_nonce = max(int(nonce()), last_nonce + 1)
            return last_nonce

        client.fetch, client.handle_errors = checked_fetch, noted_errors
        client.handle_http_status_code, client.nonce = noted_status, rising_nonce


def _longest(answer: object) -> int:
    """How many entries the longest list in an answer has; some venues' lists are objects by id."""
    match answer:
        case list():
            return max(len(answer), *map(_longest, answer), 0)
        case dict():
            parts = list(answer.values())
            by_id = len(parts) if all(isinstance(part, dict) for part in parts) else 0
            return max(by_id, *map(_longest, parts), 0)
        case _:
            return 0


def _unreadable(answer: object, url: str, answers: Mapping[str, tuple[str, ...]]) -> str | None:
    """Why an answer can't be believed; None when it has the parts it must have."""
    if not isinstance(answer, dict | list):
        return "expected JSON"
    address = urlsplit(url).path
    for end, keys in answers.items():
        if not address.endswith(end):
            continue
        part: object = answer
        for key in keys:
            part = part.get(key) if isinstance(part, dict) else None
            if not isinstance(part, dict | list):
                return f"expected {'.'.join(keys)}"
    return None
