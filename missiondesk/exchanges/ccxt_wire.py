"""The one module that imports ccxt: makes its client strict, and turns its errors into ours.

ccxt is imported at the first call, not with this module: it costs seconds. Nothing that it says reaches an
error text before it is cut and the secrets are taken out.
"""

from __future__ import annotations

import decimal
import json
import logging
import re
from collections.abc import Callable, Mapping
from enum import Enum, auto
from functools import cached_property
from typing import Any, Final, TypeVar, assert_never
from urllib.parse import urlsplit

from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.venues import Venue
from models.errors import (
    CredentialsRefused,
    ExchangeUnreachable,
    InputRefused,
    MissiondeskError,
    OrderRejected,
    OutcomeUnknown,
    UnknownName,
)

Value = TypeVar("Value")

_NONCE_ATTEMPTS: Final = 3
_SHORTEST_SECRET: Final = 6
_LONGEST_TEXT: Final = 200

# What ccxt's parsing runs into when an answer is not shaped as the venue's manual says.
_MALFORMED: Final = (TypeError, KeyError, IndexError, AttributeError, ValueError, ArithmeticError)


class _Trouble(Enum):
    """What a ccxt exception says happened."""

    KEYS = auto()
    SYMBOL = auto()
    UNSUPPORTED = auto()
    LIMITED = auto()
    DUPLICATE = auto()
    ORDER = auto()
    REFUSED = auto()
    UNREACHABLE = auto()


_NEVER_CONNECTED: Final = frozenset({"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"})

# By the name of the nearest class in ccxt's hierarchy.
_TROUBLES: Final[Mapping[str, _Trouble]] = {
    "AuthenticationError": _Trouble.KEYS,
    "RestrictedLocation": _Trouble.KEYS,
    "BadSymbol": _Trouble.SYMBOL,
    "NotSupported": _Trouble.UNSUPPORTED,
    "ArgumentsRequired": _Trouble.UNSUPPORTED,
    "DDoSProtection": _Trouble.LIMITED,
    "RateLimitExceeded": _Trouble.LIMITED,
    "InvalidNonce": _Trouble.LIMITED,
    "DuplicateOrderId": _Trouble.DUPLICATE,
    "InvalidOrder": _Trouble.ORDER,
    "CancelPending": _Trouble.ORDER,
    "OnMaintenance": _Trouble.REFUSED,
    "ExchangeError": _Trouble.REFUSED,
    "BaseError": _Trouble.UNREACHABLE,
}


def known_exchanges() -> list[str]:
    """The ids of every exchange that the installed ccxt speaks to."""
    import ccxt

    return list(ccxt.exchanges)


def _foreign_errors() -> tuple[type[Exception], ...]:
    import ccxt

    return (ccxt.BaseError, *_MALFORMED)


class Wire:
    """A ccxt client of one venue. `read` may be repeated by the caller; `place` sends at most one order.

    Not for use by several threads at once.
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
        self._name = name
        self._credentials = credentials
        self._url_overrides = url_overrides
        self._limit_rate = limit_rate
        self._timeout_seconds = timeout_seconds
        self._sent = False
        self._answered = False
        self._turned_away = False

    @cached_property
    def client(self) -> Any:
        """For what needs no request (`timeframes`, `has`, `markets` once loaded)."""
        import ccxt

        # At DEBUG it logs the headers and bodies of signed requests.
        logging.getLogger("ccxt").setLevel(logging.INFO)
        options: dict[str, Any] = {
            "enableRateLimit": self._limit_rate,
            "timeout": int(self._timeout_seconds * 1000),
        }
        if self._url_overrides is not None:
            options["urls"] = {"api": dict(self._url_overrides)}
        if self._credentials is not None:
            options["apiKey"] = self._credentials.key.get_secret_value()
            options["secret"] = self._credentials.secret.get_secret_value()
            if self._credentials.passphrase is not None:
                options["password"] = self._credentials.passphrase.get_secret_value()
        client = getattr(ccxt, self._venue.ccxt_id)(options)
        client.number = str
        self._make_strict(client)
        return client

    def read(self, convert: Callable[[Any], Value], method: str, *arguments: Any) -> Value:
        """The converted answer of a call that changes nothing, or that may be made twice.

        Raises ExchangeUnreachable, CredentialsRefused, UnknownName, or InputRefused for what the venue lacks.
        OrderRejected means that the venue knows no such order, or that it is already done.
        """
        try:
            return self._call(convert, method, *arguments)
        except _foreign_errors() as error:
            raise self._while_reading(error) from None

    def place(self, convert: Callable[[Any], Value], *arguments: Any) -> Value:
        """The converted answer to `create_order`; the markets have to be loaded before.

        Raises OutcomeUnknown unless it is certain that the venue took no order; if it is, OrderRejected,
        CredentialsRefused, UnknownName, or ExchangeUnreachable (it may be placed again).
        """
        try:
            return self._call(convert, "create_order", *arguments)
        except _foreign_errors() as error:
            raise self._while_placing(error) from None

    def _call(self, convert: Callable[[Any], Value], method: str, *arguments: Any) -> Value:
        import ccxt

        for _ in range(_NONCE_ATTEMPTS - 1):
            try:
                return self._call_once(convert, method, *arguments)
            except ccxt.InvalidNonce:
                # The venue read the nonce and nothing else: another process used a later one of this key.
                if not self._answered:
                    raise
        return self._call_once(convert, method, *arguments)

    def _call_once(self, convert: Callable[[Any], Value], method: str, *arguments: Any) -> Value:
        self._sent = self._answered = self._turned_away = False
        # ccxt changes the rounding of the decimal context it is called in.
        with decimal.localcontext():
            return convert(getattr(self.client, method)(*arguments))

    def _make_strict(self, client: Any) -> None:
        """Note what happened to each request, and refuse answers that ccxt would take for empty ones."""
        import ccxt

        fetch, handle_errors = client.fetch, client.handle_errors
        handle_http_status_code, nonce = client.handle_http_status_code, client.nonce
        last_nonce = 0

        def checked_fetch(url: str, *arguments: Any) -> Any:
            self._sent = True
            answer = fetch(url, *arguments)
            problem = _unreadable(answer, url, self._venue.answers)
            if problem is not None:
                raise ccxt.BadResponse(f"unreadable answer to {urlsplit(url).path}: {problem}")
            return answer

        def noted_errors(*arguments: Any) -> Any:
            try:
                return handle_errors(*arguments)
            except ccxt.BaseError:
                self._answered = True
                raise

        def noted_status(code: int, *arguments: Any) -> Any:
            self._turned_away = 400 <= code < 500 and code != 408
            return handle_http_status_code(code, *arguments)

        def rising_nonce() -> int:
            nonlocal last_nonce
            last_nonce = max(int(nonce()), last_nonce + 1)
            return last_nonce

        client.fetch, client.handle_errors = checked_fetch, noted_errors
        client.handle_http_status_code, client.nonce = noted_status, rising_nonce

    def _while_reading(self, error: Exception) -> MissiondeskError:
        said = self._said(error)
        match self._trouble(error):
            case _Trouble.KEYS:
                return CredentialsRefused(self._keys_refused(said))
            case _Trouble.SYMBOL:
                return UnknownName(f"symbol of {self._name}", said, self.client.symbols or ())
            case _Trouble.UNSUPPORTED:
                return InputRefused(f"{self._name} has no such thing: {said}")
            case _Trouble.ORDER | _Trouble.DUPLICATE:
                return OrderRejected(f"{self._name}: {said}")
            case _Trouble.LIMITED | _Trouble.REFUSED | _Trouble.UNREACHABLE:
                return ExchangeUnreachable(f"{self._name} gives no answer to use: {said}")
            case other:
                assert_never(other)

    def _while_placing(self, error: Exception) -> MissiondeskError:
        said = self._said(error)
        trouble = self._trouble(error)
        never_taken = not self._sent or self._turned_away or _never_connected(error)
        if not never_taken and not self._answered:
            return OutcomeUnknown(f"{self._name} gave no readable answer to an order: {said}")
        match trouble:
            case _Trouble.KEYS:
                return CredentialsRefused(self._keys_refused(said))
            case _Trouble.SYMBOL:
                return UnknownName(f"symbol of {self._name}", said, self.client.symbols or ())
            case _Trouble.DUPLICATE:
                return OutcomeUnknown(f"{self._name} already has an order of this client order id: {said}")
            case _Trouble.LIMITED:
                return ExchangeUnreachable(f"{self._name} took no order: {said}")
            case _Trouble.UNREACHABLE if never_taken:
                return ExchangeUnreachable(f"{self._name} was not reached with an order: {said}")
            case _Trouble.UNREACHABLE:
                return OutcomeUnknown(f"{self._name} can't say whether it took an order: {said}")
            case _Trouble.ORDER | _Trouble.REFUSED | _Trouble.UNSUPPORTED:
                return OrderRejected(f"{self._name} refused an order: {said}")
            case other:
                assert_never(other)

    def _trouble(self, error: Exception) -> _Trouble:
        text = str(error)
        if any(wrong in text for wrong in self._venue.wrong_keys):
            return _Trouble.KEYS
        if self._answered and "duplicate" in text.lower():
            return _Trouble.DUPLICATE
        names = (kind.__name__ for kind in type(error).__mro__)
        return next((_TROUBLES[name] for name in names if name in _TROUBLES), _Trouble.UNREACHABLE)

    def _keys_refused(self, said: str) -> str:
        if self._credentials is None:
            return f"{self._name} asks for keys, and this account has none: {said}"
        return f"{self._name} does not accept the keys, or they lack a permission: {said}"

    def _said(self, error: Exception) -> str:
        """What the venue or the network said: short, and without any secret or query string."""
        text = _venue_words(str(error)) or re.sub(r"\?\S*", "", str(error))
        for secret in self._credentials.texts if self._credentials is not None else ():
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "…")
        text = " ".join(text.split())
        shown = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
        return f"{shown} ({type(error).__name__})"


def _venue_words(text: str) -> str | None:
    """The list `error` of the JSON answer that ccxt put into its exception's text."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        answer = json.loads(text[start:])
    except ValueError:
        return None
    words = answer.get("error") or answer.get("msg") or answer.get("message")
    if isinstance(words, list):
        return ", ".join(map(str, words))
    return words if isinstance(words, str) else None


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
            if part is None:
                return f"expected {'.'.join(keys)}"
    return None


def _never_connected(error: Exception) -> bool:
    cause = error.__cause__
    if cause is None:
        return False
    reason = getattr(cause.args[0], "reason", None) if cause.args else None
    return type(cause).__name__ == "ConnectTimeout" or type(reason).__name__ in _NEVER_CONNECTED
