"""The connection to Postgres: one statement is one transaction, unless `transaction` is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, func, select
from sqlalchemy.engine import make_url

from missiondesk.store.administration import without_password
from models.errors import DatabaseUnreachable

# The driver sends no BEGIN and no COMMIT around a single statement: one round trip instead of three.
_ONE_STATEMENT = "AUTOCOMMIT"
_TRANSACTION = "READ COMMITTED"


def connect(url: str) -> Engine:
    """An engine on `postgresql://…` (or `postgresql+psycopg2://…`), which connects at its first use.

    Whatever uses it raises DatabaseUnreachable when the server does not answer or goes away. Datetimes come
    aware, in UTC. After a fork the child calls `engine.dispose(close=False)` before its first use.
    """
    place = make_url(url).set(drivername="postgresql+psycopg2")
    options = place.query.get("options", "")
    engine = create_engine(
        place,
        isolation_level=_ONE_STATEMENT,
        pool_size=2,
        max_overflow=8,
        use_native_hstore=False,
        connect_args={
            "connect_timeout": 10,
            "options": f"{options} -c timezone=UTC".strip(),
            "fallback_application_name": "missiondesk",
        },
    )

    @event.listens_for(engine, "handle_error")
    def translate(context: ExceptionContext) -> None:
        if not isinstance(context.original_exception, Exception):
            return  # Ctrl-C in the middle of a statement costs the connection, and is no outage.
        never_connected = context.connection is None
        if never_connected or context.is_disconnect:
            raise _does_not_answer(url, context.original_exception)

    return engine


@contextmanager
def transaction(engine: Engine, actor: str | None = None) -> Iterator[Connection]:
    """Several statements that happen all or not at all; committed on leaving, rolled back on an exception.

    `actor` is whom the audit names as the one who changed what is changed here; None: the database's user.
    """
    try:
        with engine.execution_options(isolation_level=_TRANSACTION).begin() as connection:
            if actor is not None:
                connection.execute(select(func.set_config("missiondesk.actor", actor, True)))
            yield connection
    except psycopg2.Error as error:
        # The driver's own: from cursors used directly, and from the step into the transaction itself.
        if not engine.dialect.is_disconnect(error, None, None):  # type: ignore[arg-type]
            raise
        engine.dispose()  # SQLAlchemy has not seen it, and would hand the same connection out again
        raise _does_not_answer(engine.url.render_as_string(hide_password=False), error) from error


def _does_not_answer(url: str, error: BaseException) -> DatabaseUnreachable:
    return DatabaseUnreachable(f"the database {without_password(url)} does not answer: {str(error).strip()}")
