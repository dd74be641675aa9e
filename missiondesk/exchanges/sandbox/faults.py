"""Things that go wrong on purpose: slow, lost, broken and refused answers."""

from __future__ import annotations

import random
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Answer(StrEnum):
    """What the client gets to see."""

    INTACT = "intact"
    DROPPED = "dropped"
    """The connection is closed without a byte."""
    TRUNCATED = "truncated"
    """The first half of the JSON."""
    HTML = "html"
    """A proxy's error page, with `status`."""
    STATUS = "status"
    """An empty answer with `status`."""
    ERROR = "error"
    """Kraken's envelope with `error` in it."""


class Fault(BaseModel):
    """One kind of trouble at one endpoint.

    The request waits `wait_before` seconds, is carried out when `acts`, the answer waits `wait_after` seconds
    and then is `answer`. So a slow exchange is `wait_before`, an order accepted whose answer is lost is
    `acts=True, answer=dropped`, and one whose answer outlasts the client's patience is a long `wait_after`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = "*"
    """`AddOrder`, `OHLC` … or `*` for all of them."""
    answer: Answer = Answer.INTACT
    acts: bool = False
    wait_before: float = Field(default=0.0, ge=0)
    wait_after: float = Field(default=0.0, ge=0)
    status: int = Field(default=502, ge=400, le=599)
    error: str = "EAPI:Rate limit exceeded"
    times: int | None = Field(default=1, ge=1)
    """How often; null for ever."""
    probability: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0

    @property
    def lets_act(self) -> bool:
        """Whether the request is carried out: always when its answer arrives intact."""
        return self.acts or self.answer in (Answer.INTACT, Answer.TRUNCATED)


class Faults:
    """The faults in force, oldest first."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, fault: Fault) -> None:
        self._armed.append(_Armed(fault))

    def clear(self) -> None:
        self._armed.clear()

    def listed(self) -> list[dict[str, object]]:
        return [armed.fault.model_dump(mode="json") | {"used": armed.used} for armed in self._armed]

    def next_for(self, endpoint: str) -> Fault | None:
        """The first fault that strikes this call, counted as used."""
        return next((armed.fault for armed in self._armed if armed.strikes(endpoint)), None)


class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.used = 0
        self._chance = random.Random(fault.seed)

    def strikes(self, endpoint: str) -> bool:
        fault = self.fault
        if fault.endpoint not in ("*", endpoint) or (fault.times is not None and self.used >= fault.times):
            return False
        if self._chance.random() >= fault.probability:
            return False
        self.used += 1
        return True
