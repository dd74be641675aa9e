"""Text and JSON from outside, as PostgreSQL can keep it."""

from __future__ import annotations

import json
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
    match value:
        case str():
            check_storable(field, value)
        case dict():
            for name, member in value.items():
                check_storable(field, name)
                check_storable_json(field, member)
        case list():
            for member in value:
                check_storable_json(field, member)


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises InputRefused for anything else, NaN and endless nesting included."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
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
