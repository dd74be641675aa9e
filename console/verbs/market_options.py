"""What `missiondesk market` is told on its command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import wraps
from typing import Any, Final

import click

from missiondesk.market_names import NamedMarket, market_of
from models.errors import InputRefused

DEFAULT_MARKETS: Final = "okex_future_btcusd_thisweek,kraken:BTC/USD"


class Verb(StrEnum):
    WATCH = "watch"
    FEED = "feed"
    EXEC = "exec"
    REXEC = "rexec"


class StrategyName(StrEnum):
    DIFF = "diff"
    TICKER = "ticker"
    HEDGE = "hedge"


@dataclasses.dataclass(frozen=True)
class MarketOptions:
    """amount: of base. fee: of each market, fractions. begin None: from the beginning; end None: until now.

    open_above, close_above: quote units for one of base. open_at, close_at: premiums, fractions.
    """

    strategy: StrategyName
    open_above: Decimal
    close_above: Decimal
    open_at: Decimal
    close_at: Decimal
    amount: Decimal
    patience_seconds: float
    account: tuple[str, ...]
    fee: tuple[Decimal, ...]
    begin: datetime | None
    end: datetime | None
    seconds: float | None
    quotes: int | None
    playback: str | None

    @property
    def patience(self) -> timedelta:
        return timedelta(seconds=self.patience_seconds)


class _Number(click.ParamType[Decimal]):
    name = "number"

    def __init__(self, above: Decimal | None = None) -> None:
        self._above = above

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            self.fail(f"expected a number, got {value!r}", param, ctx)
        if self._above is not None and number <= self._above:
            self.fail(f"expected a number above {self._above}, got {value!r}", param, ctx)
        return number


class _Instant(click.ParamType[datetime]):
    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"expected an instant such as 2026-01-31T12:00, got {value!r}", param, ctx)
        return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


_OPTIONS: Final = (
    click.option(
        "-s",
        "--strategy",
        type=click.Choice([name.value for name in StrategyName]),
        default=StrategyName.DIFF.value,
        show_default=True,
    ),
    click.option("--open-above", type=_Number(), default="0", help="diff: open at a spread above this."),
    click.option(
        "--close-above", type=_Number(), default="0", help="diff: close when this is left, for one of base."
    ),
    click.option(
        "--open-at", type=_Number(), default="0.01", show_default=True, help="hedge: open at this premium."
    ),
    click.option(
        "--close-at", type=_Number(), default="0", show_default=True, help="hedge: close at this premium."
    ),
    click.option(
        "--amount",
        type=_Number(above=Decimal(0)),
        default="0.01",
        show_default=True,
        help="exec, rexec: of base, each time.",
    ),
    click.option(
        "--patience",
        "patience_seconds",
        type=click.FloatRange(0, min_open=True),
        default=30.0,
        show_default=True,
        help="exec, rexec: seconds that an order may rest.",
    ),
    click.option(
        "--account",
        multiple=True,
        metavar="NAME",
        help="exec: who trades; once, or for each market.  [default: play money]",
    ),
    click.option(
        "--fee",
        type=_Number(),
        multiple=True,
        help="rexec: taker fee of each market, a fraction.  [default: 0]",
    ),
    click.option(
        "--begin",
        type=_Instant(),
        help="rexec: from when on; rolling names are meant as of then.  [default: the beginning]",
    ),
    click.option("--end", type=_Instant(), help="rexec: until when.  [default: now]"),
    click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after so long."),
    click.option("--quotes", type=click.IntRange(1), help="Stop after so many."),
    click.option(
        "--playback",
        metavar="URL",
        help="watch, feed: the venues that a playback recorded, not the real ones.",
    ),
)


def market_options(command: Callable[..., None]) -> Callable[..., None]:
    """Hands all options over as one MarketOptions."""

    @wraps(command)
    def with_options(verb: str, markets: str, debug: bool, strategy: str, **given: Any) -> None:
        command(verb, markets, debug, MarketOptions(StrategyName(strategy), **given))

    wrapped: Callable[..., None] = with_options
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def markets_of(names: str, verb: Verb, strategy: StrategyName, now: datetime) -> Sequence[NamedMarket]:
    """As they stand at `now`. Raises InputRefused for names in no known form, and for the wrong number."""
    named = [market_of(name.strip(), now) for name in names.split(",")]
    if strategy is not StrategyName.TICKER and verb is not Verb.FEED and len(named) != 2:
        raise InputRefused(f"expected two markets for strategy {strategy}, got {len(named)}: {names}")
    if len({(market.exchange, market.symbol) for market in named}) < len(named):
        raise InputRefused(f"expected different markets, got one twice: {names}")
    return named
