"""Text and JSON from outside, as PostgreSQL can keep it."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from models.errors import InputRefused


def storable(text: str) -> str:
    """The text with what PostgreSQL has no room for (NUL, lone surrogates) replaced by �."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def check_storable(field: str, text: str) -> str:
    """The text as it is; raises InputRefused, naming the field, when PostgreSQL could not keep it."""
    if storable(text) != text or "\0" in text:
        raise InputRefused(f"{field}: expected text without NUL and lone surrogates, got {text[:80]!r}")
    return text


def check_storable_json(field: str, value: Any) -> None:
    """Raises InputRefused when a text anywhere in the value is one that PostgreSQL could not keep."""
    unchecked = [value]
    while unchecked:
        match unchecked.pop():
            case str() as text:
                check_storable(field, text)
            case dict() as members:
                unchecked += [*members, *members.values()]
            case list() as members:
                unchecked += members


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises InputRefused for anything else, NaN and endless nesting included."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        said = "too deep a nesting" if isinstance(error, RecursionError) else str(error)
        raise InputRefused(f"expected JSON, got {text[:80]!r}: {said}") from None


def to_json(value: Any) -> str:
    """The value as ASCII JSON. Raises InputRefused for what JSON has no form for."""
    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputRefused(
            f"expected a value that JSON can hold, got {type(value).__name__}: {error}"
        ) from None


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON value")


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits[:20]} is no number that can be kept")
    return number
