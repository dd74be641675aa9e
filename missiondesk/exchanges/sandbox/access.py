"""Who may call and how often: Kraken's key, signature, nonce and call counter."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from missiondesk.exchanges.sandbox.state import State
from models.errors import InputRefused

_COSTLY = frozenset({"ClosedOrders", "TradesHistory", "QueryTrades", "Ledgers", "QueryLedgers"})
_FREE = frozenset({"AddOrder", "CancelOrder", "CancelAll"})


@dataclass(frozen=True)
class CallLimit:
    """Kraken's counter: each private call adds 1 (history 2, orders 0), `decay` is taken off each second.

    A Kraken Pro account has CallLimit(20, 1.0), a starter one CallLimit(15, 0.33).
    """

    most: float = 1000.0
    decay: float = 500.0


@dataclass
class CallCounter:
    """The counter of one key."""

    limit: CallLimit
    value: float = 0.0
    at: float = field(default=0.0)

    def allows(self, endpoint: str, now: float) -> bool:
        """Count one call; False when it is one too many."""
        self.value = max(0.0, self.value - max(0.0, now - self.at) * self.limit.decay)
        self.at = now
        cost = 0 if endpoint in _FREE else 2 if endpoint in _COSTLY else 1
        if self.value + cost > self.limit.most:
            return False
        self.value += cost
        return True


class AccessRefused(Exception):
    """The call is not let in; the text is Kraken's error."""


class Access:
    """Checks private calls. `credentials` maps API keys to their secrets; InputRefused unless in base64."""

    def __init__(self, credentials: Mapping[str, str], state: State, limit: CallLimit) -> None:
        self._secrets = {key: _decoded(secret) for key, secret in credentials.items()}
        self._state = state
        self._nonces = state.nonces()
        self._counters = {key: CallCounter(limit) for key in credentials}

    def admit(
        self, path: str, body: bytes, key: str | None, signature: str | None, nonce: str, now: float
    ) -> None:
        """Raise AccessRefused unless key, signature, nonce and rate are in order."""
        secret = self._secrets.get(key or "")
        if key is None or secret is None:
            raise AccessRefused("EAPI:Invalid key")
        if not _signed(path, body, secret, signature or "", nonce):
            raise AccessRefused("EAPI:Invalid signature")
        if not nonce.isdecimal() or int(nonce) <= self._nonces.get(key, 0) or int(nonce) >= 2**63:
            raise AccessRefused("EAPI:Invalid nonce")
        self._nonces[key] = int(nonce)
        self._state.save_nonce(key, int(nonce))
        if not self._counters[key].allows(path.rsplit("/", 1)[-1], now):
            raise AccessRefused("EAPI:Rate limit exceeded")


def _decoded(secret: str) -> bytes:
    try:
        return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise InputRefused("the sandbox's API secret is not base64, as Kraken's secrets are") from None


def _signed(path: str, body: bytes, secret: bytes, signature: str, nonce: str) -> bool:
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    digest = hashlib.sha256(nonce.encode() + body).digest()
    expected = hmac.new(secret, path.encode() + digest, hashlib.sha512).digest()
    return hmac.compare_digest(given, expected)
