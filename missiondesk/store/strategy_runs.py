"""Runs of strategies: the same markets and accounts are the same run, in one process at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from psycopg2.errors import LockNotAvailable
from sqlalchemy import Engine, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from models.account import Mode
from models.errors import DatabaseUnreachable, InputRefused
from models.strategy_tables import strategy_run

# The server notices a little later that a process was killed, and frees its lock only then.
_PATIENCE = text("SET lock_timeout = '5s'")
_LOCK = text("SELECT pg_advisory_lock(hashtext('missiondesk.strategy'), hashtext(:run))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtext('missiondesk.strategy'), hashtext(:run))")


class StrategyRuns:
    """Raises DatabaseUnreachable when the server does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self, strategy: str, mode: Mode, legs: Sequence[str]) -> int:
        """The id of the run; `legs` are `exchange:SYMBOL@account` in the strategy's order."""
        place = {"strategy": strategy, "mode": mode, "legs": ",".join(legs)}
        with self._engine.connect() as connection:
            connection.execute(insert(strategy_run).values(place).on_conflict_do_nothing())
            found = select(strategy_run.c.id).filter_by(**place)
            return int(connection.execute(found).scalar_one())

    @contextmanager
    def alone(self, run_id: int) -> Iterator[None]:
        """While this process is the only one that trades for the run; ends with the process.

        Raises InputRefused when another one still does after 5 seconds.
        """
        with self._engine.connect() as connection:
            # The lock goes with this connection, which is closed on leaving and not used again.
            connection.detach()
            connection.execute(_PATIENCE)
            try:
                connection.execute(_LOCK, {"run": str(run_id)})
            except OperationalError as error:
                if not isinstance(error.orig, LockNotAvailable):
                    raise
                raise InputRefused(
                    "another process runs this strategy on these markets with these accounts: stop it first"
                ) from None
            try:
                yield
            finally:
                # Closing alone frees it a moment later, when the server has noticed.
                with suppress(DatabaseUnreachable):
                    connection.execute(_UNLOCK, {"run": str(run_id)})
