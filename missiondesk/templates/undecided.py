"""Neither yes nor no: what templates raise when the data to decide on is not there, and the verdict of it.

Negations, any_of and guards have to tell this from a no, so it travels as an exception up to the Task.
"""

from __future__ import annotations

from missiondesk.market.indicators import UndefinedIndicator
from models.errors import DataStale, MissiondeskError, TooFewCandles
from models.result import RULE_DATA_STALE, Verdict

RULE_TOO_FEW_CANDLES = "TOO_FEW_CANDLES"
RULE_UNDEFINED = "UNDEFINED"

UNDECIDED_RULES = frozenset({RULE_DATA_STALE, RULE_TOO_FEW_CANDLES, RULE_UNDEFINED})

Undecided = (DataStale, TooFewCandles, UndefinedIndicator)
"""To be caught. Every other exception is left to the Task's retries."""


def not_decided(error: MissiondeskError) -> Verdict:
    """The verdict, not passed, of a Task that could not decide."""
    match error:
        case DataStale():
            rule, said = RULE_DATA_STALE, "data stale"
        case TooFewCandles():
            rule, said = RULE_TOO_FEW_CANDLES, "too few candles"
        case _:
            rule, said = RULE_UNDEFINED, "no value"
    text = str(error)
    return Verdict(False, rule, "{reason}", {"reason": text if text.startswith(said) else f"{said}: {text}"})
