"""The tick's own writes: lease, advance, release, finish. What a tick may not do, it is told by LeaseLost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, Engine, func, select, update

from missiondesk.store.beginning import TickStart, look, validated
from missiondesk.store.database import transaction
from missiondesk.store.finishing import FinishOutcome, finish
from missiondesk.store.lease import NO_LEASE, change_held, ended, held, lease_for
from missiondesk.store.missions import find_mission_row
from missiondesk.store.opening import open_ahead_of_tick, open_missionary
from models.errors import InvalidRow, MissionDisabled
from models.mission import MissionId
from models.missionary import Missionary, MissionaryId
from models.result import RULE_ERROR, Result
from models.tables import mission, missionary
from models.timer import Period

# Why a tick ended: the rule that held it and the reason in words. Shown to people, kept on the Missionary.
Reason = tuple[str | None, str | None]


@dataclass(frozen=True)
class FreedLease:
    """A lease that was taken from a tick that died."""

    missionary_id: MissionaryId
    mission_id: MissionId
    mission: str
    holder: str


@dataclass(frozen=True)
class Restarted:
    """`opened` is None when the fresh one is left to the next tick: the Mission is disabled, walks whole, or
    has a row that is not valid.
    """

    ended: MissionaryId | None
    opened: Missionary | None


class Walks:
    """Every method is one statement; opening takes one more, `finish` and `restart` are one transaction each.

    `flow_run_id` is the holder of the lease. Methods that take one raise LeaseLost, and have then written
    nothing, when that flow run does not hold the Missionary.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, mission: str | int, flow_run_id: str, lease_seconds: float) -> TickStart:
        """Read what a tick needs; open a Missionary if an enabled Mission has none; take its lease if free.

        The lease is free when nobody holds it, when it ran out, and when this flow run holds it already.
        A whole walk that another tick left open is ended as `crashed` and a fresh one opened.
        Of a disabled Mission nothing is changed. `mission` is its name or its id.
        Raises UnknownName, and InvalidRow, whose text then stands on the Missionary as its reason;
        MissionDisabled instead for a disabled Mission whose rows are not valid.
        """
        with self._engine.connect() as connection:
            while True:
                start = self._try_begin(connection, mission, flow_run_id, lease_seconds)
                if start is not None:
                    return start

    def _try_begin(
        self, connection: Connection, mission: str | int, holder: str, lease_seconds: float
    ) -> TickStart | None:
        """None when the rows changed under our eyes: then another try is due."""
        row = look(connection, mission, holder, lease_seconds)
        if not row["mission"]["enabled"]:
            try:
                return validated(row, holder)
            except InvalidRow as error:
                raise MissionDisabled(row["mission"]["id"], row["mission"]["name"]) from error
        if row["missionary"] is None:
            start = validated(row, holder)
            opened = open_missionary(connection, start.mission, start.tasks, holder, lease_seconds)
            return None if opened is None else replace(start, missionary=opened, leased=True)
        if not row["leased"]:
            return None if row["free"] else validated(row, holder)
        missionary_id = row["missionary"]["id"]
        if row["mission"]["walk"] == "whole" and row["previous_holder"] != holder:
            crashed = held(missionary_id, holder).values(ended("crashed"))
            change_held(connection, missionary_id, holder, crashed)
            return None
        try:
            return validated(row, holder)
        except InvalidRow as error:
            released = held(missionary_id, holder).values(
                hold_rule="INVALID_ROW", hold_reason=str(error), **NO_LEASE
            )
            change_held(connection, missionary_id, holder, released)
            raise

    def renew(self, missionary_id: int, flow_run_id: str, lease_seconds: float) -> None:
        with self._engine.connect() as connection:
            renewed = held(missionary_id, flow_run_id).values(lease_expires_at=lease_for(lease_seconds))
            change_held(connection, missionary_id, flow_run_id, renewed)

    def take_period(self, missionary_id: int, flow_run_id: str, period: Period) -> None:
        """Kept, and announced to whoever listens for schedules, even if the Task then may not run."""
        with self._engine.connect() as connection:
            taken = held(missionary_id, flow_run_id).values(period=str(period))
            change_held(connection, missionary_id, flow_run_id, taken)

    def record(
        self,
        missionary_id: int,
        flow_run_id: str,
        result: Result | None,
        *,
        expected_index: int,
        advance: bool,
        release: Reason | None = None,
    ) -> None:
        """Log the result, move on if `advance`, give the lease back if `release` says why: all or nothing.

        LeaseLost also when the Missionary does not stand at `expected_index`. None, and results of another
        type than NORMAL, leave no row.
        """
        step = held(missionary_id, flow_run_id).where(missionary.c.next_index == expected_index)
        step = step.values(next_index=expected_index + advance)
        if release is not None:
            step = step.values(hold_rule=release[0], hold_reason=release[1], **NO_LEASE)
        with self._engine.connect() as connection:
            change_held(connection, missionary_id, flow_run_id, step, result)

    def release(
        self, missionary_id: int, flow_run_id: str, hold_rule: str | None, hold_reason: str | None
    ) -> None:
        """Give the lease back. Rule and reason tell people why the tick ended here."""
        with self._engine.connect() as connection:
            released = held(missionary_id, flow_run_id).values(
                hold_rule=hold_rule, hold_reason=hold_reason, **NO_LEASE
            )
            change_held(connection, missionary_id, flow_run_id, released)

    def break_off(self, flow_run_id: str, reason: str) -> None:
        """Give back whatever this flow run holds, if it holds anything: it ends with an exception."""
        holding = (missionary.c.holder == flow_run_id) & missionary.c.ended_at.is_(None)
        with self._engine.connect() as connection:
            connection.execute(
                update(missionary).where(holding).values(hold_rule=RULE_ERROR, hold_reason=reason, **NO_LEASE)
            )

    def finish(
        self, missionary_id: int, flow_run_id: str, result: str, target_result: Result | None = None
    ) -> FinishOutcome:
        """End a Missionary that passed its Target, log the Target's result, and let follow what follows.

        The Mission was disabled meanwhile: nothing. Its next one is itself, or none and `repeat`: a fresh
        Missionary. It has a next one: it is disabled, the next one enabled, with a Missionary opened or its
        open one reused. Else it is disabled.
        """
        return finish(self._engine, missionary_id, flow_run_id, result, target_result)

    def finish_whole(
        self, missionary_id: int, flow_run_id: str, result: str, target_result: Result | None = None
    ) -> None:
        """End a whole walk with its tick. `result` says how many passed; the next tick opens a fresh one."""
        with self._engine.connect() as connection:
            over = held(missionary_id, flow_run_id).values(ended(result))
            change_held(connection, missionary_id, flow_run_id, over, target_result)

    def end(self, missionary_id: int, result: str, flow_run_id: str | None = None) -> bool:
        """End a Missionary that did not pass its Target. The Mission stays as it is; its next tick opens a
        fresh one.

        With `flow_run_id` only its holder may; without, anyone, and False says that it had ended already.
        """
        with self._engine.connect() as connection:
            if flow_run_id is not None:
                over = held(missionary_id, flow_run_id).values(ended(result))
                change_held(connection, missionary_id, flow_run_id, over)
                return True
            still_open = (missionary.c.id == missionary_id) & missionary.c.ended_at.is_(None)
            return bool(
                connection.execute(update(missionary).where(still_open).values(ended(result))).rowcount
            )

    def restart(self, mission: str | int) -> Restarted:
        """End the open Missionary as `restarted` and open a fresh one, with the rows as they are now.

        A tick that walks it finds out at its next write. Raises UnknownName.
        """
        with transaction(self._engine) as connection:
            row = find_mission_row(connection, mission, lock=True)
            open_one = (missionary.c.mission_id == row["id"]) & missionary.c.ended_at.is_(None)
            over = update(missionary).where(open_one).values(ended("restarted")).returning(missionary.c.id)
            ended_one = connection.execute(over).scalar_one_or_none()
            return Restarted(ended_one, open_ahead_of_tick(connection, row))

    def reap(self) -> Sequence[FreedLease]:
        """Clear the leases that ran out, which their ticks would have renewed had they lived."""
        return self._free(missionary.c.lease_expires_at <= func.now())

    def release_by_holder(self, flow_run_id: str) -> Sequence[FreedLease]:
        """Clear what a flow run holds, known to be dead; without waiting for the lease to run out."""
        return self._free(missionary.c.holder == flow_run_id)

    def _free(self, which: ColumnElement[bool]) -> Sequence[FreedLease]:
        before = (
            select(missionary)
            .where(which, missionary.c.ended_at.is_(None))
            .with_for_update(skip_locked=True)
            .cte("before")
        )
        freed = (
            update(missionary)
            .where(missionary.c.id == before.c.id, mission.c.id == missionary.c.mission_id)
            .values(NO_LEASE)
            .returning(missionary.c.id, mission.c.id, mission.c.name, before.c.holder)
        )
        with self._engine.connect() as connection:
            return [FreedLease(*row) for row in connection.execute(freed)]
