"""The rows of `scheduled_flow`."""

from __future__ import annotations

from sqlalchemy import Engine, select

from models.errors import InvalidRow
from models.scheduled_flow import ScheduledFlow
from models.tables import scheduled_flow


def scheduled_flows(engine: Engine) -> tuple[list[ScheduledFlow], dict[str, InvalidRow]]:
    """The valid rows, and the errors of the others by name. One statement."""
    valid: list[ScheduledFlow] = []
    invalid: dict[str, InvalidRow] = {}
    with engine.connect() as connection:
        for row in connection.execute(select(scheduled_flow).order_by(scheduled_flow.c.name)):
            try:
                valid.append(ScheduledFlow.from_row(row._asdict()))
            except InvalidRow as error:
                invalid[row.name] = error
    return valid, invalid
