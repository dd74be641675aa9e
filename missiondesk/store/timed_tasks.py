"""The items of timed tasks: written, claimed under a lease, finished, expired; each method is one statement.

Statements that lock several rows do so in the order of their keys, so that none waits in a circle.
`holder` is whose call runs an item; leases are on the database's clock, windows on the caller's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Engine, Update, and_, case, delete, func, or_, select, text, update

from missiondesk.store.lease import NO_LEASE, lease_for
from models.timed import ClaimedItem, NewItem, TimedNames, TimedStatus, WantedRun
from models.timed_tables import timed_task

# Announced whenever items were written that wait for their time.
CHANNEL = "missiondesk_timed"

# Prefect rounds to seconds when it starts a run, and its clock may be another one.
EARLY = timedelta(seconds=2)

_LONGEST_PROBLEM = 2000

_GIVEN = """
    INSERT INTO timed_task AS present (
        task, task_name, flag, entrypoint, key, executed_time, expires_at, batch, position, item, call,
        holder, lease_expires_at, attempts
    )
    SELECT
        :task, :task_name, :flag, :entrypoint, key, executed_time, expires_at, CAST(batch AS uuid),
        position, CAST(item AS json), CAST(call AS json),
        CAST(:holder AS text), now() + make_interval(secs => :lease_seconds), :attempts
    FROM unnest(
        CAST(:keys AS text[]), CAST(:executed_times AS timestamptz[]), CAST(:expire_times AS timestamptz[]),
        CAST(:batches AS text[]), CAST(:items AS text[]), CAST(:calls AS text[])
    ) WITH ORDINALITY AS given (key, executed_time, expires_at, batch, item, call, position)
    ORDER BY key
"""

_CLAIM = text(f"""
    {_GIVEN}
    ON CONFLICT (key) DO UPDATE SET
        status = 0, finish_time = NULL, problem = '', asked_at = NULL, update_time = now(),
        holder = excluded.holder, lease_expires_at = excluded.lease_expires_at,
        attempts = present.attempts + 1, entrypoint = excluded.entrypoint, batch = excluded.batch,
        position = excluded.position, item = excluded.item, call = excluded.call
    WHERE :repeatable OR present.attempts < :most_attempts AND (
        present.status = 2
        OR present.status = 0 AND (present.holder IS NULL OR present.lease_expires_at <= now())
    )
    RETURNING key
""")

_ADD = text(f"""
    WITH added AS ({_GIVEN} ON CONFLICT (key) DO NOTHING RETURNING key)
    SELECT count(*), pg_notify('{CHANNEL}', '') FROM added
""")  # noqa: S608 nothing but constants is put together here


class TimedTasks:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(
        self,
        names: TimedNames,
        items: Sequence[NewItem],
        holder: str,
        *,
        lease_seconds: float,
        most_attempts: int,
        repeatable: bool,
    ) -> set[str]:
        """Write the items that are new, and claim all that may be begun now; the keys of those.

        Not begun: items that are finished or expired, held by another call whose lease lasts, or begun
        `most_attempts` times. `repeatable` claims every one of them.
        """
        given = _parameters(names, items, holder, lease_seconds, attempts=1)
        given |= {"most_attempts": most_attempts, "repeatable": repeatable}
        with self._engine.connect() as connection:
            return set(connection.scalars(_CLAIM, given))

    def add_pending(self, names: TimedNames, items: Sequence[NewItem]) -> int:
        """Write items that wait for their time and tell the desk; how many of them are new."""
        given = _parameters(names, items, None, None, attempts=0)
        with self._engine.connect() as connection:
            return int(connection.execute(_ADD, given).one()[0])

    def claim_batch(
        self, batch: UUID, holder: str, now: datetime, *, lease_seconds: float, most_attempts: int
    ) -> list[ClaimedItem]:
        """Claim what is due and left to begin of a batch, in the order in which it was given."""
        free = and_(
            timed_task.c.batch == batch,
            timed_task.c.executed_time <= now + EARLY,
            timed_task.c.attempts < most_attempts,
            timed_task.c.expires_at >= now,
            or_(_IS_FREE, timed_task.c.status == TimedStatus.FAILURE),
        )
        claimed = _update(_locked(free, skip=True)).values(
            status=TimedStatus.PENDING,
            finish_time=None,
            problem="",
            asked_at=None,
            holder=holder,
            lease_expires_at=lease_for(lease_seconds),
            attempts=timed_task.c.attempts + 1,
        )
        with self._engine.connect() as connection:
            rows = connection.execute(claimed.returning(timed_task)).all()
        return [
            ClaimedItem(row.key, row.executed_time, row.entrypoint, row.item, row.call)
            for row in sorted(rows, key=lambda row: row.position)
        ]

    def ask_again(self, batch: UUID, now: datetime) -> None:
        """The run that a desk asked for came before its time, so another one is wanted for what is ahead."""
        ahead = and_(timed_task.c.batch == batch, timed_task.c.executed_time > now + EARLY, _IS_FREE)
        with self._engine.connect() as connection:
            connection.execute(_update(_locked(ahead)).values(asked_at=None))

    def renew(self, holder: str, lease_seconds: float) -> int:
        """Lengthen the lease of everything that `holder` still holds; how many items that are."""
        with self._engine.connect() as connection:
            renewed = _update(_locked(timed_task.c.holder == holder))
            return connection.execute(renewed.values(lease_expires_at=lease_for(lease_seconds))).rowcount

    def hold(self, keys: Collection[str], holder: str, lease_seconds: float) -> set[str]:
        """Lengthen the lease of those of these items that `holder` still holds; their keys."""
        held = and_(timed_task.c.key.in_(list(keys)), timed_task.c.holder == holder)
        renewed = _update(_locked(held)).values(lease_expires_at=lease_for(lease_seconds))
        with self._engine.connect() as connection:
            return set(connection.scalars(renewed.returning(timed_task.c.key)))

    def finish(self, keys: Collection[str], holder: str, status: TimedStatus, problem: str = "") -> int:
        """End items that `holder` holds; how many they were. Fewer than `keys` when a lease was lost."""
        held = and_(timed_task.c.key.in_(list(keys)), timed_task.c.holder == holder)
        said = problem.replace("\0", "\\0").encode(errors="backslashreplace").decode()
        ended = _update(_locked(held)).values(
            status=status, finish_time=func.now(), problem=said[:_LONGEST_PROBLEM], **NO_LEASE
        )
        with self._engine.connect() as connection:
            return connection.execute(ended).rowcount

    def sweep(self, now: datetime, most_attempts: int) -> int:
        """End what nobody may begin any more: never begun → expired, died in the middle → failed."""
        begun = timed_task.c.attempts > 0
        over = or_(timed_task.c.expires_at < now, timed_task.c.attempts >= most_attempts)
        ended = _update(_locked(and_(_IS_FREE, over), skip=True)).values(
            status=case((begun, TimedStatus.FAILURE), else_=TimedStatus.EXPIRED),
            problem=case((begun, "its process died"), else_=""),
            finish_time=func.now(),
            **NO_LEASE,
        )
        with self._engine.connect() as connection:
            return connection.execute(ended).rowcount

    def forget(self, before: datetime) -> int:
        """Delete items that had ended before, and could not be begun any more then; how many they were."""
        over = and_(
            timed_task.c.status != TimedStatus.PENDING,
            timed_task.c.finish_time < before,
            timed_task.c.expires_at < before,
        )
        with self._engine.connect() as connection:
            return connection.execute(delete(timed_task).where(over)).rowcount

    def wanted_runs(
        self, now: datetime, *, most_attempts: int, retry_seconds: float, again_seconds: float
    ) -> list[WantedRun]:
        """What a desk has to ask Prefect for, the most urgent first; at most 200 runs at a time.

        Failed items come `retry_seconds` after their failure. What was asked for and is overdue by
        `again_seconds` comes again: its run may be lost.
        """
        failed = timed_task.c.status == TimedStatus.FAILURE
        overdue = and_(
            timed_task.c.executed_time < _ago(again_seconds), timed_task.c.asked_at < _ago(again_seconds)
        )
        by_batch = (timed_task.c.batch, timed_task.c.attempts)
        wanted = (
            select(
                *by_batch,
                func.min(timed_task.c.task),
                func.min(timed_task.c.task_name),
                func.min(timed_task.c.executed_time).label("due"),
                func.count(),
            )
            .where(
                timed_task.c.entrypoint.is_not(None),
                timed_task.c.item.is_not(None),
                timed_task.c.expires_at >= now,
                timed_task.c.attempts < most_attempts,
                or_(_IS_FREE, and_(failed, timed_task.c.finish_time <= _ago(retry_seconds))),
                or_(timed_task.c.asked_at.is_(None), overdue),
            )
            .group_by(*by_batch)
            .order_by("due")
            .limit(200)
        )
        with self._engine.connect() as connection:
            return [WantedRun(*row) for row in connection.execute(wanted)]

    def asked(self, wanted: WantedRun) -> None:
        """Remember that Prefect was asked for this run; items begun meanwhile are not its any more."""
        waiting = and_(timed_task.c.batch == wanted.batch, timed_task.c.attempts == wanted.attempts)
        with self._engine.connect() as connection:
            connection.execute(_update(_locked(waiting)).values(asked_at=func.now()))


_IS_FREE: ColumnElement[bool] = and_(
    timed_task.c.status == TimedStatus.PENDING,
    or_(timed_task.c.holder.is_(None), timed_task.c.lease_expires_at <= func.now()),
)


def _locked(condition: ColumnElement[bool], *, skip: bool = False) -> CTE:
    """The rows of this condition, locked in the order of their keys; `skip` leaves out what others lock."""
    ids = select(timed_task.c.id).where(condition).order_by(timed_task.c.key)
    return ids.with_for_update(skip_locked=skip).cte("locked")


def _update(locked: CTE) -> Update:
    changed = update(timed_task).where(timed_task.c.id.in_(select(locked.c.id)))
    return changed.values(update_time=func.now())


def _ago(seconds: float) -> ColumnElement[datetime]:
    return func.now() - timedelta(seconds=seconds)


def _parameters(
    names: TimedNames,
    items: Sequence[NewItem],
    holder: str | None,
    lease_seconds: float | None,
    attempts: int,
) -> dict[str, Any]:
    return {
        **asdict(names),
        "keys": [item.key for item in items],
        "executed_times": [item.executed_time for item in items],
        "expire_times": [item.expires_at for item in items],
        "batches": [str(item.batch) for item in items],
        "items": [item.item for item in items],
        "calls": [item.call for item in items],
        "holder": holder,
        "lease_seconds": lease_seconds,
        "attempts": attempts,
    }
