"""Which exchange a desk trades on when it is not told."""

from __future__ import annotations

import urllib.error
import urllib.request

from missiondesk.settings import ExchangeChoice

KRAKEN_CLOCK = "https://api.kraken.com/0/public/Time"


def choose(wanted: ExchangeChoice | None) -> tuple[ExchangeChoice, str]:
    """The exchange, and what to say about the choice."""
    if wanted is ExchangeChoice.SANDBOX:
        return wanted, "prices come from the sandbox, a local exchange"
    if answers(KRAKEN_CLOCK, seconds=5):
        return ExchangeChoice.KRAKEN, "prices come from Kraken"
    silent = "Kraken can't be reached from here (no network?)"
    if wanted is ExchangeChoice.KRAKEN:
        return wanted, f"{silent}; Missions wait until it can"
    return ExchangeChoice.SANDBOX, f"{silent}, so the desk uses the sandbox, a local exchange"


def answers(url: str, seconds: float) -> bool:
    """Whether something answers there with success."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as response:
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False
