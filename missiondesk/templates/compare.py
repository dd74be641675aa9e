"""The comparison behind every template that looks at numbers, and the general `compare` template."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, assert_never

from pydantic import Field, model_validator

from missiondesk.templates.context import Context
from missiondesk.templates.operand import IndicatorOperand, Operand, Readings, Surroundings, Value
from missiondesk.templates.params import ExchangeName, Params, Symbol, Timeframe
from missiondesk.templates.registry import template
from models.result import Verdict

Op = Literal["<", "<=", ">", ">=", "crosses_above", "crosses_below", "between"]

CROSSINGS = ("crosses_above", "crosses_below")


class Compare(Params):
    """`left op right`, or `low ≤ left ≤ high` where op is `between`."""

    symbol: Symbol | None = None
    exchange: ExchangeName | None = None
    timeframe: Timeframe | None = None
    left: Operand
    op: Op
    right: Operand | None = None
    low: Operand | None = Field(default=None, description="Only for between")
    high: Operand | None = Field(default=None, description="Only for between")

    @property
    def around(self) -> Surroundings:
        return Surroundings(self.symbol, self.exchange, self.timeframe)

    @property
    def others(self) -> tuple[Operand, ...]:
        """What `left` is compared with: right, or low and high."""
        return tuple(bound for bound in (self.right, self.low, self.high) if bound is not None)

    @model_validator(mode="after")
    def _is_complete(self) -> Compare:
        needed = ("low", "high") if self.op == "between" else ("right",)
        given = tuple(name for name in ("right", "low", "high") if getattr(self, name) is not None)
        if given != needed:
            raise ValueError(
                f"expected {' and '.join(needed)} with op {self.op}, got {' and '.join(given) or 'none'}"
            )
        for operand in (self.left, *self.others):
            if not isinstance(operand, IndicatorOperand):
                continue
            if missing := self.around.missing(operand):
                raise ValueError(
                    f"expected {operand.indicator} to have its {' and '.join(missing)}, or the Task, got none"
                )
            if self.op in CROSSINGS and operand.is_now:
                raise ValueError(
                    f"expected closed candles with op {self.op}, got price, which is now: use close"
                )
        return self


@template("compare", kind="data")
def compare(context: Context, params: Compare) -> Verdict:
    """Compares two operands, each a number or an indicator of closed candles (`price` alone is "now").

    `crosses_above`: left was ≤ right one closed candle before, and is > right at the last one;
    `crosses_below` the other way round. `between` includes its bounds.
    """
    return compare_operands(context, "COMPARE", params.around, params.left, params.op, *params.others)


def compare_operands(
    context: Context, rule: str, around: Surroundings, left: Operand, op: Op, *others: Operand
) -> Verdict:
    """The verdict of `left op others`, all read from the same candles."""
    readings = Readings(context, around, (left, *others), crossing=op in CROSSINGS)
    values = [readings.value(operand) for operand in (left, *others)]
    return compare_values(rule, readings.sources, values[0], op, *values[1:])


def compare_values(rule: str, sources: str, left: Value, op: Op, *others: Value) -> Verdict:
    """A verdict whose message states every number, and the candles they come from.

    `msg_args` holds the numbers in full, the text at least eight significant digits.
    """
    args: dict[str, Any] = {"sources": sources}
    shown = _shown("left", left, args)
    names = ("low", "high") if op == "between" else ("right",)
    needed = [_shown(name, value, args) for name, value in zip(names, others, strict=True)]
    text = f"{shown}, needs {_WORDS[op]} {' and '.join(needed)}" + (" ({sources})" if sources else "")
    return Verdict(_holds(op, left, *others), rule, text, args)


_WORDS: dict[Op, str] = {
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "crosses_above": "to cross above",
    "crosses_below": "to cross below",
    "between": "between",
}


def _holds(op: Op, left: Value, right: Value, high: Value | None = None) -> bool:
    match op:
        case "<":
            return left.now < right.now
        case "<=":
            return left.now <= right.now
        case ">":
            return left.now > right.now
        case ">=":
            return left.now >= right.now
        case "crosses_above" | "crosses_below":
            assert left.before is not None and right.before is not None
            before, now = left.before - right.before, left.now - right.now
            return before <= 0 < now if op == "crosses_above" else before >= 0 > now
        case "between":
            assert high is not None
            return right.now <= left.now <= high.now
        case _:
            assert_never(op)


def _shown(name: str, value: Value, args: dict[str, Any]) -> str:
    """The format of one operand; adds its numbers to `args`."""
    args[name] = value.now
    shown = f"{{{name}{number_format(value.now)}}}"
    if not value.label:
        return shown
    args[f"{name}_label"] = value.label
    shown = f"{{{name}_label}}={shown}"
    if value.before is not None:
        args[f"{name}_before"] = value.before
        shown += f" (before {{{name}_before{number_format(value.before)}}})"
    return shown


def number_format(value: float) -> str:
    """The format specification that writes a number in plain digits, never as 1e-05: `:.2f` for 41.25.

    As many decimals as eight significant digits need, without zeros at the end.
    """
    decimals = format(Decimal(f"{value:.8g}"), "f").partition(".")[2]
    return f":.{len(decimals)}f"
