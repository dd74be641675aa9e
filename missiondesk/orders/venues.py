"""The private side of an account, one process at a time: venues count the calls of a key (nonces)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from psycopg2.errors import LockNotAvailable
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from missiondesk.exchanges.port import Trading
from missiondesk.orders.patience import Patience
from missiondesk.store.database import transaction
from models.account import Account, Mode
from models.errors import ExchangeUnreachable

# Two statements in one round trip.
_LOCK = text(
    "SELECT set_config('lock_timeout', :wait, true),"
    " set_config('idle_in_transaction_session_timeout', :turn, true);"
    " SELECT pg_advisory_xact_lock(hashtext('missiondesk.venue'), hashtext(:key))"
)


class Venues:
    """`trading` gives the private side of an account; it keeps what is costly to open.

    A turn on a live account holds an advisory lock, which Postgres frees when the process dies, or when its
    turn has lasted too long: it may be frozen. It takes a second connection of the engine's pool for as long.
    Paper accounts have no key and need no turns.
    """

    def __init__(
        self, engine: Engine, trading: Callable[[Account, Mode], Trading], patience: Patience
    ) -> None:
        self._engine, self._trading, self._patience = engine, trading, patience

    @contextmanager
    def turn(self, account: Account, mode: Mode) -> Iterator[Trading]:
        """Raises ExchangeUnreachable when others don't let go of the account's key. Turns don't nest."""
        if mode == "paper":
            yield self._trading(account, mode)
            return
        with transaction(self._engine) as connection:
            turn = {
                "wait": _milliseconds(self._patience.venue_wait),
                "turn": _milliseconds(self._patience.turn),
                "key": _key(account),
            }
            try:
                connection.execute(_LOCK, turn)
            except OperationalError as error:
                if isinstance(error.orig, LockNotAvailable):
                    raise ExchangeUnreachable(
                        f"account {account.name}: other processes have been using its key for "
                        f"{self._patience.venue_wait.total_seconds():g} s; nothing was sent"
                    ) from None
                raise
            yield self._trading(account, mode)


def _milliseconds(wait: timedelta) -> str:
    return str(max(1, int(wait.total_seconds() * 1000)))


def _key(account: Account) -> str:
    """What must not be used twice at once: a block's key may serve several accounts."""
    if account.credentials and account.credentials != "environment":
        return f"block {account.credentials}"
    return f"account {account.name}"
