"""Where the venues of a playback are; imports nothing, so that clients don't load a server."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit


def playback_urls(base: str, venue: str) -> dict[str, Any]:
    """What to give ccxt as `urls.api` so that it talks to the recorded venue of a playback at `base`."""
    http = f"{base.rstrip('/')}/{venue}"
    socket = f"ws://{urlsplit(http).netloc}/{venue}/ws"
    match venue:
        case "okx":
            return {"rest": http, "ws": socket}
        case "krakenfutures":
            rest = f"{http}/derivatives/api/"
            return {"public": rest, "private": rest, "ws": socket}
        case "kraken":
            return {"public": http, "private": http, "ws": {"publicV2": f"{socket}/v2"}}
        case _:
            return {"public": http, "private": http, "ws": socket}
