"""What the connection to Postgres makes of interruptions."""

from __future__ import annotations

import pytest

from missiondesk.store.database import connect


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
