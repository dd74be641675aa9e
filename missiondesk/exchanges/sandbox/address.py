"""What a client needs to know of a sandbox; imports nothing, so that clients don't load an exchange."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

SANDBOX_KEY = "sandbox-key"
SANDBOX_SECRET = "c2FuZGJveC1zZWNyZXQ="
"""Public test credentials: they open nothing but a sandbox."""

READY_LINE = "sandbox exchange listening on "
"""What the command prints when it listens, followed by its address."""


PUBLIC_SOCKET = "/ws/v2"
PRIVATE_SOCKET = "/ws-auth/v2"


def ccxt_urls(base: str) -> dict[str, dict[str, dict[str, Any]]]:
    """What to hand to `ccxt.kraken`, plain or pro, so that it talks to a sandbox at this address."""
    socket = urlsplit(base)._replace(scheme="ws").geturl().rstrip("/")
    sockets = {"publicV2": f"{socket}{PUBLIC_SOCKET}", "privateV2": f"{socket}{PRIVATE_SOCKET}"}
    return {"urls": {"api": {"public": base, "private": base, "ws": sockets}}}
