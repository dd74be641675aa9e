"""Which process turns pending items of timed tasks into runs: at most one, and everyone can tell whether."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, text

from models.errors import DatabaseUnreachable

# Whoever attends holds the lock for as long as its connection lives. Who only looks takes it shared, for one
# statement, so that lookers don't take each other for a desk.
_ATTEND = text("SELECT pg_try_advisory_lock(hashtext('missiondesk.timed'))")
_LOOK = text("SELECT NOT pg_try_advisory_xact_lock_shared(hashtext('missiondesk.timed'))")


def desk_attends(engine: Engine) -> bool:
    """Whether a desk is up that will run pending items at their time."""
    with engine.connect() as connection:
        return bool(connection.scalar(_LOOK))


class Attendance:
    """The right to turn pending items into runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def held(self) -> bool:
        """Take it or keep it; False while another process has it. Raises DatabaseUnreachable."""
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return True
            connection = self._engine.connect()
            connection.detach()  # a pooled connection would keep the lock after its closing
            if connection.scalar(_ATTEND):
                self._connection = connection
                return True
            connection.close()
            return False
        except DatabaseUnreachable:
            self._connection = None
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
