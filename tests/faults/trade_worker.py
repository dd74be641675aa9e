"""A process that ticks Missions of trade Tasks on the sandbox until all have finished, or it is killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy import Connection, event

from missiondesk.desk import Desk
from missiondesk.exchanges.ccxt_exchange import CcxtExchange
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.orders.gateway import OrderGateway
from missiondesk.orders.patience import Patience
from missiondesk.settings import Settings
from missiondesk.templates.context import Context
from missiondesk.templates.run import try_template
from missiondesk.ticks.tick import Run, run_tick
from models.account import Account
from models.errors import DatabaseUnreachable, DataStale, ExchangeUnreachable, LeaseLost
from models.mission import MissionTask
from models.result import Verdict

LEASE_SECONDS = 1.0
PATIENCE = Patience(
    send_window=timedelta(seconds=2.6),
    absence_margin=timedelta(seconds=0.5),
    fill_wait=timedelta(seconds=1),
    venue_wait=timedelta(seconds=5),
)
CLIENT_TIMEOUT_SECONDS = 0.8

AT_ONCE = 12
"""So many Missions are worked at, so that workers meet."""

EXPECTED = (DatabaseUnreachable, ExchangeUnreachable, DataStale, LeaseLost)


class Surprise(BaseException):
    """Something broke that no fault explains; it ends the process, past every handler."""


class TradeDesk(Desk):
    """A desk whose exchange is a sandbox at `exchange_url`, with less patience than a real one."""

    def __init__(
        self, home: Path, database_url: str, exchange_url: str, patience: Patience = PATIENCE
    ) -> None:
        settings = {
            "MISSIONDESK_HOME": str(home),
            "MISSIONDESK_DATABASE_URL": database_url,
            "MISSIONDESK_EXCHANGE": "sandbox",
            "MISSIONDESK_EXCHANGE_URL": exchange_url,
        }
        super().__init__(Settings.load(settings), lambda account: KEYS)
        self.place = (home, database_url, exchange_url)
        self._exchange_url, self._patience = exchange_url, patience

    def gateway(self, holder: str) -> OrderGateway:
        return OrderGateway(self.engine, self._trading, self._public, holder, patience=self._patience)

    def _open_public(self, exchange: str) -> CcxtExchange:
        return self._opened(None)

    def _open_private(self, account: str, exchange: str, credentials: str | None) -> CcxtExchange:
        return self._opened(self._credentials_of(Account(name=account)))

    def _opened(self, credentials: Credentials | None) -> CcxtExchange:
        return CcxtExchange(
            "sandbox",
            "kraken",
            credentials=credentials,
            url_overrides=ccxt_urls(self._exchange_url)["urls"]["api"],
            limit_rate=False,
            timeout_seconds=CLIENT_TIMEOUT_SECONDS,
        )


KEYS = Credentials(key=SecretStr(SANDBOX_KEY), secret=SecretStr(SANDBOX_SECRET))


def work(home: Path, database_url: str, exchange_url: str, seed: int) -> None:
    """Tick the Missions that are enabled, in any order; returns when there is none."""
    chance = random.Random(seed)
    desk = TradeDesk(home, database_url, exchange_url)
    while True:
        try:
            unfinished = desk.missions.available_ids()[:AT_ONCE]
            if not unfinished:
                return
            tick(desk, chance.choice(unfinished), chance)
        except EXPECTED:
            time.sleep(0.05)


def tick(desk: Desk, mission_id: int, chance: random.Random) -> None:
    """One tick; now and then one that several workers are given at the same time, as the same flow run."""
    twin = chance.random() < 0.2
    run = Run(f"run of {mission_id}" if twin else uuid4().hex, datetime.now(UTC), ad_hoc=True)
    run_tick(desk, mission_id, run, unsurprised(try_template), lease_seconds=LEASE_SECONDS)


FROZEN_AT: Mapping[str, tuple[str, str]] = {
    "before the intent": ("before_cursor_execute", "INSERT INTO trade_order"),
    "between intent and sent": ("before_cursor_execute", "SET status=%(status)s, deadline="),
    "after sent": ("after_cursor_execute", "SET status=%(status)s, deadline="),
    "with the answer not yet written": ("before_cursor_execute", "SET status=%(status)s, reason="),
}
"""The critical instants of an order, by the statements before or after which they are."""


def freeze(home: Path, database_url: str, exchange_url: str, mission: str, instant: str) -> None:
    """One tick of a Mission, which stands still at an instant of FROZEN_AT until someone wakes it."""
    desk = TradeDesk(home, database_url, exchange_url, replace(PATIENCE, turn=timedelta(seconds=1)))
    when, statement = FROZEN_AT[instant]
    left = [statement]

    def stop(connection: Connection, cursor: object, executed: str, *_: object) -> None:
        if left and left[0] in executed:
            left.clear()
            os.kill(os.getpid(), signal.SIGSTOP)

    event.listen(desk.engine, when, stop)
    run = Run(uuid4().hex, datetime.now(UTC), ad_hoc=True)
    run_tick(desk, mission, run, unsurprised(try_template), lease_seconds=LEASE_SECONDS)


def unsurprised(
    attempting: Callable[[Context, MissionTask], Verdict],
) -> Callable[[MissionTask, Context], Verdict]:
    """Attempts that may break only as the faults make them."""

    def attempt(task: MissionTask, context: Context) -> Verdict:
        try:
            return attempting(context, task)
        except EXPECTED:
            raise
        except Exception as error:
            raise Surprise(f"{task.name} broke") from error

    return attempt
