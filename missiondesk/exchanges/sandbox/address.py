"""What a client needs to know of a sandbox; imports nothing, so that clients don't load an exchange."""

from __future__ import annotations

SANDBOX_KEY = "sandbox-key"
SANDBOX_SECRET = "c2FuZGJveC1zZWNyZXQ="
"""Public test credentials: they open nothing but a sandbox."""

READY_LINE = "sandbox exchange listening on "
"""What the command prints when it listens, followed by its address."""


def ccxt_urls(base: str) -> dict[str, dict[str, dict[str, str]]]:
    """What to hand to `ccxt.kraken` so that it talks to a sandbox at this address."""
    return {"urls": {"api": {"public": base, "private": base}}}
