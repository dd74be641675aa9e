"""Turns a table row into a value, or into an error that names row, field and expectation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from models.errors import InvalidRow

Value = TypeVar("Value", bound=BaseModel)


def value_from_row(kind: type[Value], table: str, row: Mapping[str, Any]) -> Value:
    """Validate `row` as `kind`; raises InvalidRow with one problem per offending field."""
    try:
        return kind.model_validate(dict(row))
    except ValidationError as error:
        raise InvalidRow(table, row.get("name") or row.get("id"), problems_of(error)) from None


def problems_of(error: ValidationError) -> list[tuple[str, str]]:
    """(field, "expected …, got …") for each problem that pydantic found."""
    problems = []
    for detail in error.errors(include_url=False):
        field = ".".join(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        problems.append((field, message if "got" in message else f"{message}, got {detail['input']!r}"))
    return problems
