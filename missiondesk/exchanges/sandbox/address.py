"""What a client needs to know of a sandbox; imports nothing, so that clients don't load an exchange."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

SANDBOX_KEY = "sandbox-key"
SANDBOX_SECRET = "c2FuZGJveC1zZWNyZXQ="
"""Public test credentials: they open nothing but a sandbox."""
SANDBOX_PASSPHRASE = "sandbox-passphrase"
"""The third secret, for OKX."""

READY_LINE = "sandbox exchange listening on "
"""What the command prints when it listens, followed by its address."""


PUBLIC_SOCKET = "/ws/v2"
PRIVATE_SOCKET = "/ws-auth/v2"


SANDBOXES = {"sandbox": "kraken", "sandbox_okx": "okx", "sandbox_bitmex": "bitmex"}
"""The names of its exchanges, and whose protocol each speaks. They have nothing in common but the prices."""


def ccxt_urls(base: str, venue: str = "kraken") -> dict[str, dict[str, dict[str, Any]]]:
    """What to hand to ccxt's class of a venue, so that it talks to a sandbox at this address.

    Over websockets only Kraken is spoken.
    """
    match venue:
        case "kraken":
            socket = urlsplit(base)._replace(scheme="ws").geturl().rstrip("/")
            sockets = {"publicV2": f"{socket}{PUBLIC_SOCKET}", "privateV2": f"{socket}{PRIVATE_SOCKET}"}
            return {"urls": {"api": {"public": base, "private": base, "ws": sockets}}}
        case "okx":
            return {"urls": {"api": {"rest": base}}}
        case _:
            return {"urls": {"api": {"public": base, "private": base}}}
