"""What the connection to Postgres makes of interruptions."""

from __future__ import annotations

import psycopg2
import pytest
from sqlalchemy import Connection, Engine, text

from missiondesk.store.database import connect, transaction
from models.errors import DatabaseUnreachable


class CtrlC:
    """A parameter whose reading by the driver is interrupted."""

    def __conform__(self, protocol: object) -> object:
        raise KeyboardInterrupt


def test_ctrl_c_in_the_middle_of_a_statement_is_no_outage(database_url: str) -> None:
    engine = connect(database_url)
    with engine.connect() as connection, pytest.raises(KeyboardInterrupt):
        connection.exec_driver_sql("SELECT %s", (CtrlC(),))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    engine.dispose()


def cut(engine: Engine, connection: Connection) -> None:
    """The server ends the session of this connection."""
    pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with engine.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})


def test_a_connection_lost_under_a_cursor_used_directly_is_an_outage(database_url: str) -> None:
    engine = connect(database_url)
    with pytest.raises(DatabaseUnreachable, match="does not answer"), transaction(engine) as connection:
        cut(engine, connection)
        connection.connection.cursor().execute("SELECT 1")
    engine.dispose()


def test_a_connection_lost_on_the_step_into_a_transaction_is_an_outage_once(database_url: str) -> None:
    engine = connect(database_url)
    with transaction(engine) as connection:
        pooled = connection.connection.dbapi_connection
        assert pooled is not None
    pooled.close()
    with pytest.raises(DatabaseUnreachable, match="already closed"), transaction(engine):
        pass
    for _ in range(3):
        with transaction(engine) as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    engine.dispose()


def test_what_the_server_refuses_under_a_cursor_used_directly_is_no_outage(database_url: str) -> None:
    engine = connect(database_url)
    with pytest.raises(psycopg2.errors.DivisionByZero), transaction(engine) as connection:
        connection.connection.cursor().execute("SELECT 1 / 0")
    engine.dispose()
