"""The key that makes an item the same item, whoever brings it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from numbers import Integral

from missiondesk.timed.instants import microseconds

UniqueValue = str | Decimal


def unique_value(value: object) -> UniqueValue:
    """What counts of a unique field: a string as it is, a number exactly. Raises ValueError for others."""
    if isinstance(value, str):
        return value
    if isinstance(value, Integral) and not isinstance(value, bool):
        return Decimal(int(value))
    if isinstance(value, float | Decimal) and (number := Decimal(value)).is_finite():
        return number
    raise ValueError(f"expected a string or a finite number, got {value!r:.80}")


def item_key(task: str, flag: str, instant: datetime, unique: Mapping[str, UniqueValue]) -> str:
    """64 hex digits: the SHA-256 of a JSON document that says which task, flag, instant and unique fields.

    The same for numbers that are equal (1, 1.0, Decimal("1.00")), never for a number and a string.
    """
    values = {name: _canonical(value) for name, value in unique.items()}
    document = json.dumps([task, flag, microseconds(instant), values], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(document.encode("ascii")).hexdigest()


def _canonical(value: UniqueValue) -> object:
    if isinstance(value, str):
        return value
    if not value:
        return ["0"]
    sign, digits, exponent = value.as_tuple()
    written = "".join(map(str, digits)).lstrip("0")
    significant = written.rstrip("0")
    return [sign, significant, int(exponent) + len(written) - len(significant)]
