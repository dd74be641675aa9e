"""Which exchange a desk trades on when it is not told."""

from __future__ import annotations

import urllib.error
import urllib.request

from missiondesk.settings import ExchangeChoice

KRAKEN_CLOCK = "https://api.kraken.com/0/public/Time"


def choose(wanted: ExchangeChoice | None) -> tuple[ExchangeChoice, str]:
    """The exchange, and what to say about the choice."""
    if wanted is not None:
        return wanted, f"prices come from {'Kraken' if wanted is ExchangeChoice.KRAKEN else 'the sandbox'}"
    if answers(KRAKEN_CLOCK, seconds=5):
        return ExchangeChoice.KRAKEN, "prices come from Kraken"
    return (
        ExchangeChoice.SANDBOX,
        "Kraken can't be reached from here (no network?), so the desk uses the sandbox, a local exchange",
    )


def answers(url: str, seconds: float) -> bool:
    """Whether something answers there with success."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as response:
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False
