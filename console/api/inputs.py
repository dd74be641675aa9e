"""What requests may hold: text and JSON that PostgreSQL can store, ids, and names or ids of rows."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, Field, JsonValue

LARGEST_ID = 2**63 - 1
DEEPEST_JSON = 100
# No id has more digits; a longer number is looked up as a name, which no row has either.
_MOST_DIGITS = 18


def _storable_text(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"expected text without NUL characters, got {text[:80]!r}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"expected valid Unicode text, got {text[:80]!r}") from None
    return text


def _storable_json(value: Any) -> Any:
    waiting = [(value, 1)]
    while waiting:
        found, depth = waiting.pop()
        if depth > DEEPEST_JSON:
            raise ValueError(f"expected at most {DEEPEST_JSON} levels of nesting, got more")
        match found:
            case str():
                _storable_text(found)
            case float() if not math.isfinite(found):
                raise ValueError(f"expected finite numbers, got {found}")
            case dict():
                waiting += [(part, depth + 1) for pair in found.items() for part in pair]
            case list():
                waiting += [(part, depth + 1) for part in found]
    return value


def row_key(given: str) -> str | int:
    """An id where digits are given, else a name."""
    is_id = given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS
    return int(given) if is_id else given


Text = Annotated[str, AfterValidator(_storable_text)]
Json = Annotated[JsonValue, AfterValidator(_storable_json)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_storable_json)]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
SomeSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# `models.mission` has the rule itself; this is for readers of the OpenAPI document.
RowName = Annotated[
    Text, Field(json_schema_extra={"minLength": 1, "maxLength": 200, "pattern": r"^[^/%&<>\x00]+$"})
]

_NAME_OR_ID = "Name or id; digits alone mean an id"
MissionKey = Annotated[Text, Path(alias="mission", description=_NAME_OR_ID, examples=["btc-dip", "1"])]
TaskKey = Annotated[Text, Path(alias="task", description=_NAME_OR_ID, examples=["rsi is low", "1"])]
