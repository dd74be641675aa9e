"""Reads what a timed task was called with: the items of each timestamp, each with its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from numbers import Integral
from typing import Any

from missiondesk.timed.instants import read_instant
from missiondesk.timed.keys import UniqueValue, item_key, unique_value
from models.errors import InputRefused
from models.timed import Timestamp

_SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class Keying:
    """What a task's keys are made of; `unique` names the fields that make an item the same item."""

    task: str
    flag: str
    unique: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """The items of one instant by their keys. `timestamp` is the instant as the caller spelled it."""

    timestamp: Timestamp
    instant: datetime
    items: Mapping[str, Mapping[str, Any]]

    def only(self, keys: set[str]) -> Group:
        kept = {key: item for key, item in self.items.items() if key in keys}
        return Group(self.timestamp, self.instant, kept)


def read_groups(executed_data: object, keying: Keying) -> list[Group]:
    """In order of time; items of the same key are one, the first.

    Raises InputRefused that names every timestamp, item and field that is not as expected.
    """
    reader = _Reader(keying)
    groups = reader.read(executed_data)
    if reader.problems:
        shown = "\n".join(f"  {problem}" for problem in reader.problems[:_SHOWN_PROBLEMS])
        more = len(reader.problems) - _SHOWN_PROBLEMS
        rest = f"\n  and {more} more" if more > 0 else ""
        raise InputRefused(f"timed task {keying.task!r}: nothing was run or claimed.\n{shown}{rest}")
    return groups


def _plain(timestamp: Any) -> Any:
    """A whole number of any kind, numpy's too, as an int."""
    whole = isinstance(timestamp, Integral) and not isinstance(timestamp, bool)
    return int(timestamp) if whole else timestamp


class _Reader:
    def __init__(self, keying: Keying) -> None:
        self._keying = keying
        self.problems: list[str] = []

    def read(self, executed_data: object) -> list[Group]:
        if not isinstance(executed_data, Mapping):
            self._expected("executed_data", "{timestamp: [{…}, …]}", executed_data)
            return []
        spelled: dict[datetime, Timestamp] = {}
        found: dict[datetime, dict[str, Mapping[str, Any]]] = {}
        for given, items in executed_data.items():
            timestamp = _plain(given)
            try:
                instant = read_instant(timestamp)
            except ValueError as error:
                self.problems.append(f"timestamp: {error}")
                continue
            spelled.setdefault(instant, timestamp)
            of_instant = found.setdefault(instant, {})
            for key, item in self._items(timestamp, instant, items):
                of_instant.setdefault(key, item)
        return [Group(spelled[instant], instant, found[instant]) for instant in sorted(found)]

    def _items(
        self, timestamp: Timestamp, instant: datetime, items: object
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if not isinstance(items, Sequence) or isinstance(items, str | bytes):
            self._expected(f"executed_data[{timestamp!r}]", "a list of items", items)
            return
        for index, item in enumerate(items):
            place = f"executed_data[{timestamp!r}][{index}]"
            if not isinstance(item, Mapping):
                self._expected(place, "an item, {field: value, …}", item)
            elif (unique := self._unique(place, item)) is not None:
                yield item_key(self._keying.task, self._keying.flag, instant, unique), item

    def _unique(self, place: str, item: Mapping[str, Any]) -> Mapping[str, UniqueValue] | None:
        values: dict[str, UniqueValue] = {}
        for name in self._keying.unique:
            try:
                if name not in item:
                    raise ValueError("expected this field, as it is one of `unique`, got none")
                values[name] = unique_value(item[name])
            except ValueError as error:
                self.problems.append(f"{place}[{name!r}]: {error}")
        return values if len(values) == len(self._keying.unique) else None

    def _expected(self, place: str, expected: str, given: object) -> None:
        self.problems.append(f"{place}: expected {expected}, got {given!r:.80}")
