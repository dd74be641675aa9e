"""Timed tasks: items that run once, at their time or soon after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

# How a caller may spell an instant: unix seconds (also as digits, as in JSON), ISO 8601, an aware datetime.
Timestamp = int | float | str | datetime


class TimedStatus(IntEnum):
    """What became of an item. An item that is being run is PENDING with a holder."""

    PENDING = 0  # not run yet
    SUCCESS = 1  # its call returned; never run again
    FAILURE = 2  # its call raised, or its process died; run again while attempts are left
    EXPIRED = 3  # not started in time; never run


@dataclass(frozen=True)
class TimedNames:
    """Whose item it is. `entrypoint` is `module:function`, None where no other process could import it."""

    task: str
    task_name: str
    flag: str
    entrypoint: str | None


@dataclass(frozen=True)
class NewItem:
    """An item as it is written. `item` and `call` are JSON texts, None where they can't be written as JSON.

    Items of one `batch` came in one call for one timestamp, and are run by one call.
    `call` is `{"timestamp": …, "args": […], "kwargs": {…}}`: all that a later call needs besides the items.
    """

    key: str
    executed_time: datetime
    expires_at: datetime
    batch: UUID
    item: str | None
    call: str | None


@dataclass(frozen=True)
class ClaimedItem:
    """An item that a desk's run has claimed."""

    key: str
    executed_time: datetime
    entrypoint: str
    item: Mapping[str, Any]
    call: Mapping[str, Any]


@dataclass(frozen=True)
class WantedRun:
    """Items of one batch that no run has been asked for. `attempts` is how often they were begun so far."""

    batch: UUID
    attempts: int
    task: str
    task_name: str
    executed_time: datetime
    items: int
