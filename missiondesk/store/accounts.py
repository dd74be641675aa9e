"""Exchange accounts: their limits, and the flag that lets them trade live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from missiondesk.store.database import transaction
from missiondesk.store.saving import limits_missing_to_arm, save_account
from models.account import Account
from models.errors import InputRefused, UnknownName
from models.tables import account


class Accounts:
    """`actor` is whom the audit names for what is written here; None: the database's user."""

    def __init__(self, engine: Engine, actor: str | None = None) -> None:
        self._engine, self._actor = engine, actor

    def get(self, name: str) -> Account:
        """Raises UnknownName with the names that exist, InvalidRow for a row that is not valid."""
        with self._engine.connect() as connection:
            return _find(connection, name)

    def all(self) -> list[Account]:
        """By name. Raises InvalidRow for the first row that is not valid."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(account).order_by(account.c.name))
            return [Account.from_row(row._asdict()) for row in rows]

    def save(self, fields: Mapping[str, Any]) -> Account:
        """Change the given fields of the account with this `name`; without one, insert it.

        Raises InvalidRow with a problem for each field that is not valid; arming has a method of its own.
        """
        with transaction(self._engine, self._actor) as connection:
            return save_account(connection, fields)

    def arm(self, name: str) -> Account:
        """Let the account trade live. Raises InputRefused while a limit that this needs is not set."""
        with transaction(self._engine, self._actor) as connection:
            found = _find(connection, name, lock=True)
            if missing := limits_missing_to_arm(found):
                raise InputRefused(
                    f"account {name!r} can't be armed without {' and '.join(missing)}: set them first, "
                    "in the quote currency of what it trades"
                )
            return _set_armed(connection, name, True)

    def disarm(self, name: str) -> Account:
        """From now on the order gateway sends nothing for it to a real exchange."""
        with transaction(self._engine, self._actor) as connection:
            _find(connection, name, lock=True)
            return _set_armed(connection, name, False)


def _find(connection: Connection, name: str, *, lock: bool = False) -> Account:
    query = select(account).where(account.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownName("account", name, connection.scalars(select(account.c.name)))
    return Account.from_row(row._asdict())


def _set_armed(connection: Connection, name: str, armed: bool) -> Account:
    change = update(account).where(account.c.name == name).values(armed=armed).returning(account)
    return Account.from_row(connection.execute(change).one()._asdict())
