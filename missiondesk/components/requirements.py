"""DataRequirement: which rows a component wants with its command, and where the rows that it reports go."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.errors import InputRefused
from models.validation import problems_of

Unit = Literal["s", "min", "h", "D"]


class DataRequirement(BaseModel):
    """Rows of one table between execution time + begin and + end, both included, in steps of one unit.

    table_kind `table`: a table of the schema `data` (made by users) or one of the desk's market tables;
    `csv`: a file NAME.csv in the data folder. `where` narrows the rows to those with these values.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    table_kind: Literal["table", "csv"] = "table"
    table_name: str = Field(min_length=1, max_length=200)
    table_columns: tuple[str, ...] = ()
    time_begin: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    time_end: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    time_unit: Unit = "s"
    time_column: str | None = None
    where: dict[str, str | int | float | bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> DataRequirement:
        if self.time_end < self.time_begin:
            raise ValueError(
                f"expected time_end to be at least time_begin ({self.time_begin}), got {self.time_end}"
            )
        return self


def requirements_of(data: Any) -> list[DataRequirement]:
    """The requirements that a component registered: an object or a list of objects with a table_name.

    Free text and other values of older modules ask for nothing. Raises InputRefused for a requirement that is
    not valid.
    """
    given = data if isinstance(data, list) else [data]
    try:
        return [
            DataRequirement.model_validate(each)
            for each in given
            if isinstance(each, dict) and "table_name" in each
        ]
    except ValidationError as error:
        raise InputRefused(
            "; ".join(f"{field}: {problem}" for field, problem in problems_of(error))
        ) from None


def check_requirements(field: str, data: Any) -> None:
    """Raises InputRefused, naming the field, for a requirement that is not valid."""
    try:
        requirements_of(data)
    except InputRefused as error:
        raise InputRefused(f"{field}: {error}") from None
