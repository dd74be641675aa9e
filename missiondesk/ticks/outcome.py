"""How a tick ended, for the Prefect state, the notebook and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.result import Result

Ending = Literal["Waiting", "Finished", "Skipped", "Disabled", "Expired", "Failed"]


@dataclass(frozen=True)
class TickOutcome:
    """`ending` is the name of the run's final state, `message` its reason in words.

    Waiting: a "no" ended the tick, the Missionary goes on. Finished: the Missionary ended. Skipped: another
    tick holds the Missionary, or this one came too late. Failed alone is red: something is broken.
    `results` are this tick's ResultLog rows; `changed` says whether index, reason or outcome differ
    from what the tick before left.
    """

    ending: Ending
    message: str
    mission: str
    mission_id: int | None = None
    missionary_id: int | None = None
    next_index: int = 0
    steps: int = 0
    period: str | None = None
    mode: str = "paper"
    rule: str = ""
    results: tuple[Result, ...] = ()
    changed: bool = True

    @property
    def progress(self) -> str:
        return f"{self.next_index}/{self.steps}"

    def __repr__(self) -> str:
        lines = [f"{self.mission}: {self.ending}: {self.message} (step {self.progress}, {self.mode})"]
        return "\n".join(lines + [f"  {result}" for result in self.results])
