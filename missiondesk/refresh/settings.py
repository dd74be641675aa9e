"""What is refreshed, and by which thresholds: defaults, `market.toml` in the desk's home, the environment.

account = "mine"
symbols = ["BTC/USD", "ETH/USD"]
intervals = ["1h", "1d"]
[regime]
trending_above_adx = 27
[signals]
hold_below = 35
buy_rsi = [{when = "above", limit = 80, points = -25}]
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from missiondesk.market.candles import timeframe_milliseconds
from missiondesk.market.regime import RegimeSettings
from missiondesk.market.signal_settings import SignalSettings
from models.errors import InvalidSetting, UnknownName
from models.validation import problems_of

Rules = TypeVar("Rules", RegimeSettings, SignalSettings)

FILE: Final = "market.toml"
SYMBOLS: Final = (
    "BTC/USD",
    "ETH/USD",
    "SOL/USD",
    "DOGE/USD",
    "BCH/USD",
    "LTC/USD",
    "XRP/USD",
    "LINK/USD",
    "ETH/BTC",
)
INTERVALS: Final = ("1h", "4h", "1d", "1w")
_ACCOUNT: Final = "MISSIONDESK_MARKET_ACCOUNT"
_MOST_BARS: Final = 1e5
_MOST: Final = 1e6
"""The furthest from zero that points, shares, gains and distances may be."""
_LISTS: Final = {"MISSIONDESK_SYMBOLS": "symbols", "MISSIONDESK_INTERVALS": "intervals"}


def _known_intervals(intervals: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(sorted(set(intervals), key=timeframe_milliseconds))
    except UnknownName as error:
        raise ValueError(str(error)) from None


def _unique(symbols: tuple[str, ...]) -> tuple[str, ...]:
    if not all(symbol.strip() for symbol in symbols):
        raise ValueError("expected names of markets, got a blank one")
    return tuple(dict.fromkeys(symbols))


def _known_thresholds(rules: type[RegimeSettings] | type[SignalSettings]) -> Callable[[Any], Any]:
    known = {field.name for field in fields(rules)}

    def check(given: Any) -> Any:
        unknown = sorted(set(given) - known) if isinstance(given, dict) else []
        if unknown:
            raise ValueError(f"expected one of {', '.join(sorted(known))}, got {', '.join(unknown)}")
        return given

    return check


def _within_bounds(rules: Rules) -> Rules:
    """Raises ValueError, naming each threshold that no calculation can use."""
    problems = []
    for field in fields(rules):
        given = getattr(rules, field.name)
        if field.name.endswith("_bars") or field.name == "candles_needed":
            least, most = 1.0, _MOST_BARS
        else:
            least, most = -_MOST, _MOST
        values = (
            [each for line in given for each in (line.limit, line.points)]
            if isinstance(given, tuple)
            else [given]
        )
        problems += [
            f"expected {field.name} between {least:.0f} and {most:.0f}, got {value}"
            for value in values
            if not least <= value <= most
        ]
    if problems:
        raise ValueError("; ".join(problems))
    return rules


class RefreshSettings(BaseModel):
    """Frozen.

    account: whose exchange is asked, with that account's keys where it names any; None: the desk's exchange,
    without keys.
    first_candles: how many are asked for of a series that has none. looked_at_again: closed candles that are
    fetched once more with the new ones, so that corrections are seen. trade_pages: answers of public trades
    that one refresh may ask for to fill the gaps of one series.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str | None = None
    symbols: Annotated[tuple[str, ...], AfterValidator(_unique)] = Field(default=SYMBOLS, min_length=1)
    intervals: Annotated[tuple[str, ...], AfterValidator(_known_intervals)] = Field(
        default=INTERVALS, min_length=1
    )
    first_candles: int = Field(default=720, ge=1)
    looked_at_again: int = Field(default=3, ge=0)
    trade_pages: int = Field(default=20, ge=0)
    regime: Annotated[
        RegimeSettings, BeforeValidator(_known_thresholds(RegimeSettings)), AfterValidator(_within_bounds)
    ] = RegimeSettings()
    signals: Annotated[
        SignalSettings, BeforeValidator(_known_thresholds(SignalSettings)), AfterValidator(_within_bounds)
    ] = SignalSettings()

    @classmethod
    def load(cls, home: Path, environ: Mapping[str, str] = os.environ) -> RefreshSettings:
        """Raises InvalidSetting, naming the file and what is wrong in it."""
        path = home / FILE
        given: dict[str, Any] = {}
        try:
            if path.exists():
                given = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidSetting(f"{path}: expected TOML in UTF-8, got an error: {error}") from None
        if environ.get(_ACCOUNT):
            given["account"] = environ[_ACCOUNT]
        for name, field in _LISTS.items():
            if environ.get(name):
                given[field] = [word.strip() for word in environ[name].split(",") if word.strip()]
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            problems = "\n".join(f"{name}: {problem}" for name, problem in problems_of(error))
            raise InvalidSetting(f"{path} and {', '.join([_ACCOUNT, *_LISTS])}:\n{problems}") from None


@cache
def fingerprint(rules: RegimeSettings | SignalSettings) -> str:
    """The same for equal thresholds: what was decided by others is decided anew."""
    return hashlib.sha256(json.dumps(asdict(rules), sort_keys=True).encode()).hexdigest()[:16]
