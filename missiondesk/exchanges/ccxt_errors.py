"""ccxt's exceptions turned into ours: by what happens next, and without what must not be said."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, assert_never

from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.venues import Venue
from models.errors import (
    CredentialsRefused,
    ExchangeUnreachable,
    InputRefused,
    MissiondeskError,
    OrderRejected,
    OutcomeUnknown,
    VenueClosed,
)

_SHORTEST_SECRET: Final = 6
_LONGEST_TEXT: Final = 200

_DUPLICATE_WORDS: Final = ("duplicate", "already in use", "already exist")
_NEVER_CONNECTED: Final = frozenset({"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"})


class _Trouble(Enum):
    """What an exception says happened. ORDER: the venue does not know such an order, or won't have it."""

    KEYS = auto()
    SYMBOL = auto()
    UNSUPPORTED = auto()
    LIMITED = auto()
    DUPLICATE = auto()
    ORDER = auto()
    REFUSED = auto()
    UNREACHABLE = auto()


# By the name of the nearest class in ccxt's hierarchy, so that this module need not import it.
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


@dataclass
class Passage:
    """How far one request came.

    sent: it was handed to the network. answered: the error is the venue's own word. turned_away: it was
    refused by its HTTP status, before anything was done with it.
    """

    sent: bool = False
    answered: bool = False
    turned_away: bool = False


@dataclass(frozen=True)
class Translation:
    """Of the errors of one account at one venue; `name` is what the desk calls the venue."""

    name: str
    venue: Venue
    credentials: Credentials | None

    def while_reading(self, error: Exception, passage: Passage) -> MissiondeskError:
        """Nothing can have changed at the venue, or the call may be made twice."""
        said = self._said(error)
        match self._trouble(error, passage):
            case _Trouble.KEYS:
                return self._keys_refused(said)
            case _Trouble.SYMBOL:
                return self._not_listed(said)
            case _Trouble.UNSUPPORTED:
                return InputRefused(f"{self.name} has no such thing: {said}")
            case _Trouble.ORDER | _Trouble.DUPLICATE:
                return OrderRejected(f"{self.name}: {said}")
            case _Trouble.LIMITED | _Trouble.REFUSED | _Trouble.UNREACHABLE:
                return ExchangeUnreachable(f"{self.name} gives no answer to use: {said}")
            case other:
                assert_never(other)

    def while_placing(self, error: Exception, passage: Passage) -> MissiondeskError:
        """OutcomeUnknown unless it is certain that the venue took no order."""
        said = self._said(error)
        never_taken = not passage.sent or passage.turned_away or _never_connected(error)
        if not never_taken and not passage.answered:
            return OutcomeUnknown(f"{self.name} gave no readable answer to an order: {said}")
        match self._trouble(error, passage):
            case _Trouble.KEYS:
                return self._keys_refused(said)
            case _Trouble.SYMBOL:
                return self._not_listed(said)
            case _Trouble.DUPLICATE:
                return OutcomeUnknown(f"{self.name} already has an order of this client order id: {said}")
            case _Trouble.LIMITED:
                return ExchangeUnreachable(f"{self.name} took no order: {said}")
            case _Trouble.UNREACHABLE if never_taken:
                return ExchangeUnreachable(f"{self.name} was not reached with an order: {said}")
            case _Trouble.UNREACHABLE:
                return OutcomeUnknown(f"{self.name} can't say whether it took an order: {said}")
            case _Trouble.ORDER | _Trouble.REFUSED | _Trouble.UNSUPPORTED:
                return OrderRejected(f"{self.name} refused an order: {said}")
            case other:
                assert_never(other)

    def _trouble(self, error: Exception, passage: Passage) -> _Trouble:
        text = str(error)
        # A secret that is no base64 fails when the request is signed.
        if isinstance(error, binascii.Error) or any(wrong in text for wrong in self.venue.wrong_keys):
            return _Trouble.KEYS
        if any(unlisted in text for unlisted in self.venue.unlisted):
            return _Trouble.SYMBOL
        if any(undecided in text for undecided in self.venue.undecided):
            return _Trouble.UNREACHABLE
        if passage.answered and any(word in text.lower() for word in _DUPLICATE_WORDS):
            return _Trouble.DUPLICATE
        names = (kind.__name__ for kind in type(error).__mro__)
        return next((_TROUBLES[name] for name in names if name in _TROUBLES), _Trouble.UNREACHABLE)

    def _keys_refused(self, said: str) -> CredentialsRefused:
        if self.credentials is None:
            return CredentialsRefused(f"{self.name} asks for keys, and this account has none: {said}")
        return CredentialsRefused(f"{self.name} does not accept the keys, or they lack a permission: {said}")

    def _not_listed(self, said: str) -> VenueClosed:
        return VenueClosed(f"{self.name} no longer lists this market, take another symbol: {said}")

    def _said(self, error: Exception) -> str:
        """What the venue or the network said: short, and without any secret or query string."""
        text = _venue_words(str(error)) or re.sub(r"\?\S*", "", str(error))
        for secret in self.credentials.texts if self.credentials is not None else ():
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "…")
        text = " ".join(text.split())
        shown = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
        return f"{shown} ({type(error).__name__})"


def _venue_words(text: str) -> str | None:
    """The error texts in the JSON answer that ccxt puts into its exception's text."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        answer = json.loads(text[start:])
    except ValueError:
        return None
    words = answer.get("error") or _of_single_orders(answer) or answer.get("msg") or answer.get("message")
    if isinstance(words, dict):
        words = words.get("message")
    if isinstance(words, list):
        return ", ".join(map(str, words))
    return words if isinstance(words, str) else None


def _of_single_orders(answer: Mapping[str, Any]) -> list[str]:
    """OKX tells of each order in a batch what is wrong with it."""
    orders = answer.get("data")
    if not isinstance(orders, list):
        return []
    return [order["sMsg"] for order in orders if isinstance(order, dict) and order.get("sMsg")]


def _never_connected(error: Exception) -> bool:
    cause = error.__cause__
    if cause is None:
        return False
    reason = getattr(cause.args[0], "reason", None) if cause.args else None
    return type(cause).__name__ == "ConnectTimeout" or type(reason).__name__ in _NEVER_CONNECTED
