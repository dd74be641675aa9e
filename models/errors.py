"""Every error we raise, grouped by what happens next."""

from __future__ import annotations

from collections.abc import Iterable


class MissiondeskError(Exception):
    """Base of all our errors; its text is written for the person who has to act on it."""


class InputRefused(MissiondeskError):
    """Something a user gave is wrong. Nothing was changed; the text says what was expected."""


class RetryLater(MissiondeskError):
    """Usually resolves itself; the same call may be made again."""


class CallOperator(MissiondeskError):
    """Does not resolve itself: wrong keys, a closed venue. This Mission stops until someone acts."""


class UnknownName(InputRefused):
    """A name or id that does not exist; the text names the ones that do."""

    def __init__(self, kind: str, given: object, existing: Iterable[object]) -> None:
        names = sorted(str(name) for name in existing)
        shown = ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
        super().__init__(f"unknown {kind} {given!r}; existing: {shown or 'none yet'}")
        self.kind, self.given, self.existing = kind, given, names


class InvalidRow(InputRefused):
    """A row of a table that users write does not hold what is expected of it."""

    def __init__(self, table: str, row: object, problems: Iterable[tuple[str, str]]) -> None:
        self.table, self.row, self.problems = table, row, tuple(problems)
        said = "; ".join(f"{field}: {problem}" if field else problem for field, problem in self.problems)
        super().__init__(f"{table} {row!r} is not valid: {said}")


class InvalidSetting(InputRefused):
    """A setting is missing or malformed; the desk stops at start."""


class DatabaseUnreachable(RetryLater):
    """Postgres does not answer."""


class ExchangeUnreachable(RetryLater):
    """The exchange does not answer, is overloaded or limits our rate, or our keys can't be had now.

    Nothing was sent twice.
    """


class DataStale(RetryLater):
    """The newest closed candle is not served yet; the Task is tried again at the next tick."""


class TooFewCandles(RetryLater):
    """There are not enough closed candles for a reliable value; never a guess."""


class MissionDisabled(MissiondeskError):
    """The Mission is off, so nothing was changed; what else its rows hold was of no account."""

    def __init__(self, mission_id: int, name: str) -> None:
        super().__init__(f"{name} is disabled; nothing was changed")
        self.mission_id, self.name = mission_id, name


class LeaseLost(MissiondeskError):
    """Another tick holds this Missionary now; this one must stop without writing."""


class OrderDenied(MissiondeskError):
    """We refused an order before it was sent: a limit, the kill switch, a disarmed account."""


class OrderRejected(MissiondeskError):
    """The venue refused an order; it rests nowhere."""


class OutcomeUnknown(MissiondeskError):
    """An order may or may not have reached the venue; it is reconciled before anything else is sent."""


class CredentialsRefused(CallOperator):
    """The venue does not accept the keys, or they lack a permission."""


class VenueClosed(CallOperator):
    """The venue no longer exists or does not list the market; the text names an alternative."""
