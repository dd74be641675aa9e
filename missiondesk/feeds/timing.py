"""When a connection counts as dead, and when it is tried again. Times are seconds on any steady clock."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto


class Life(Enum):
    """ALIVE: heard lately. SILENT: ask for a sign of life. WAITING: asked. DEAD: no answer came."""

    ALIVE = auto()
    SILENT = auto()
    WAITING = auto()
    DEAD = auto()


@dataclass(frozen=True)
class Timing:
    """silence: without any message until the venue is pinged; answer: from the ping until the connection is
    given up. first_book: from the connection until a market whose book has not come is subscribed anew.
    first_delay, longest_delay: between two connections. poll: between two REST reads of a market while its
    connection is down; quiet: without a new price until REST is asked whether the last one holds.
    """

    silence: float = 20.0
    answer: float = 10.0
    first_book: float = 30.0
    first_delay: float = 0.5
    longest_delay: float = 60.0
    poll: float = 2.0
    quiet: timedelta = timedelta(seconds=30)

    def life(self, now: float, heard_at: float, pinged_at: float | None) -> Life:
        """pinged_at: when it was last asked for a sign of life on this connection, None for never."""
        if now < heard_at + self.silence:
            return Life.ALIVE
        if pinged_at is None or pinged_at < heard_at:
            return Life.SILENT
        return Life.DEAD if now >= pinged_at + self.answer else Life.WAITING

    def until_next_look(self, now: float, heard_at: float, pinged_at: float | None) -> float:
        """Seconds until `life` may say something else than now, unless something is heard meanwhile."""
        if pinged_at is None or pinged_at < heard_at:
            return max(0.0, heard_at + self.silence - now)
        return max(0.0, pinged_at + self.answer - now)

    def delay(self, failures: int, chance: random.Random) -> float:
        """Before the next connection after so many in vain: doubling, and half of it by chance."""
        whole = min(self.longest_delay, self.first_delay * 2.0 ** min(failures, 30))
        return whole * (0.5 + chance.random() / 2)
