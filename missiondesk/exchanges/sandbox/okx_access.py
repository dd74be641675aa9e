"""Who may call OKX: key, passphrase, signature, and a time stamp that is not old."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from missiondesk.exchanges.sandbox.okx_words import OkxError

_OLDEST_SECONDS = 30.0


class OkxAccess:
    """Checks private calls. `secrets` maps API keys to their secrets; all share one passphrase.

    A request's age is taken by the real time, whatever the market's clock shows: clients stamp by theirs.
    """

    def __init__(
        self, secrets: Mapping[str, str], passphrase: str, real_time: Callable[[], float] = time.time
    ) -> None:
        self._secrets = secrets
        self._passphrase = passphrase
        self._real_time = real_time

    def admit(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Raise OkxError unless all is in order. `target` is the path with its query."""
        secret = self._secrets.get(headers.get("OK-ACCESS-KEY", ""))
        if secret is None:
            raise OkxError("50111", "Invalid OK-ACCESS-KEY", 401)
        if headers.get("OK-ACCESS-PASSPHRASE") != self._passphrase:
            raise OkxError("50105", "Request header OK-ACCESS-PASSPHRASE incorrect.", 401)
        stamp = headers.get("OK-ACCESS-TIMESTAMP", "")
        if not self._fresh(stamp):
            raise OkxError("50102", "Timestamp request expired", 401)
        digest = hmac.new(secret.encode(), f"{stamp}{method}{target}".encode() + body, hashlib.sha256)
        given = headers.get("OK-ACCESS-SIGN", "")
        if not hmac.compare_digest(given.encode(), base64.b64encode(digest.digest())):
            raise OkxError("50113", "Invalid Sign", 401)

    def _fresh(self, stamp: str) -> bool:
        try:
            at = datetime.fromisoformat(stamp)
        except ValueError:
            return False
        return at.tzinfo is not None and abs(self._real_time() - at.timestamp()) <= _OLDEST_SECONDS
