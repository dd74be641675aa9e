"""The params that users write: what every params model refuses and how it says so, and the shared fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from missiondesk.market.candles import timeframe_milliseconds
from models.errors import InputRefused

Given = TypeVar("Given")

LONGEST_SHOWN = 80
EXPLAINED = "explained"


class Params(BaseModel):
    """Base of all params models. Frozen; a field that does not exist is refused and the nearest named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _explain_unknown_fields(cls, given: Any, validate: Callable[[Any], Any]) -> Any:
        if not isinstance(given, Mapping) or cls.model_config.get("extra") != "forbid":
            return validate(given)
        unknown = [name for name in given if name not in cls.model_fields]
        if not unknown:
            return validate(given)
        problems = [_explained((name,), given[name], cls._unknown(name)) for name in unknown]
        try:
            validate({name: value for name, value in given.items() if name in cls.model_fields})
        except ValidationError as error:
            problems += [
                _explained(detail["loc"], detail["input"], _expectation(detail))
                for detail in error.errors(include_url=False)
            ]
        raise ValidationError.from_exception_data(cls.__name__, problems)

    @classmethod
    def _unknown(cls, name: str) -> str:
        fields = ", ".join(cls.model_fields) or "none"
        near = get_close_matches(name, cls.model_fields, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"expected fields among {fields}, got {name!r}{hint}"


def _explained(place: tuple[int | str, ...], given: Any, text: str) -> InitErrorDetails:
    return InitErrorDetails(
        type=PydanticCustomError(EXPLAINED, "{text}", {"text": text}), loc=place, input=given
    )


def problems_in(error: ValidationError) -> list[tuple[str, str]]:
    """(field, "expected …, got …") for each problem found, in the order of the fields."""
    return [
        (".".join(_fields(detail["loc"])), _expectation(detail)) for detail in error.errors(include_url=False)
    ]


def _fields(place: tuple[int | str, ...]) -> list[str]:
    # Tags of unions start with a tilde; they are no fields.
    return [str(part) for part in place if not str(part).startswith("~")]


def _expectation(detail: Any) -> str:
    text: str = detail["msg"]
    if detail["type"] in (EXPLAINED, "value_error"):
        return text.removeprefix("Value error, ")
    if detail["type"] == "missing":
        return "expected a value, got none"
    if detail["type"] == "too_short":
        return f"expected at least {detail['ctx']['min_length']}, got {detail['ctx']['actual_length']}"
    if text.startswith("Input should be "):
        text = "expected " + text.removeprefix("Input should be ")
    shown = repr(detail["input"])
    return f"{text}, got {shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + '…'}"


def accepted(check: Callable[[Given], object]) -> Callable[[Given], Given]:
    """A pydantic validator: the value as given, where `check` does not raise InputRefused on it."""

    def validate(given: Given) -> Given:
        try:
            check(given)
        except InputRefused as error:
            raise ValueError(str(error)) from None
        return given

    return validate


_SYMBOL = re.compile(r"[^\s/:{}]+/[A-Z0-9.$_-]+(:[A-Z0-9.$_-]+)?")


def _check_symbol(symbol: str) -> None:
    if not _SYMBOL.fullmatch(symbol):
        raise InputRefused(f"expected a symbol such as BTC/USD or BTC/USD:USD, got {symbol!r}")


Symbol = Annotated[
    str,
    AfterValidator(accepted(_check_symbol)),
    Field(description="A market in the form BTC/USD", examples=["BTC/USD"]),
]
Timeframe = Annotated[
    str,
    AfterValidator(accepted(timeframe_milliseconds)),
    Field(description="Length of a candle: 1m, 5m, 15m, 1h, 4h, 1d, …", examples=["1h"]),
]
ExchangeName = Annotated[
    str,
    Field(
        min_length=1, pattern=r"^[a-z0-9_]+$", description="Default: the exchange of the Mission's account"
    ),
]


class MarketParams(Params):
    """Params of a template that looks at one market."""

    symbol: Symbol
    exchange: ExchangeName | None = None


class CandleParams(MarketParams):
    """Params of a template that looks at the closed candles of one market."""

    timeframe: Timeframe
