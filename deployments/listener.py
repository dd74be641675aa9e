"""Follows the tables while the desk is up: a changed Mission's schedule is in Prefect within two seconds.

Beside it, in a thread of its own, items of timed tasks become runs.

`python -m deployments.listener`; ends on SIGTERM or SIGINT.
"""

from __future__ import annotations

import logging
import signal
import threading
import time

import httpx
from prefect.exceptions import PrefectException
from sqlalchemy import Engine

from deployments.sync import sync
from deployments.timed_runs import TimedRuns
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from missiondesk.store.listen import Connected, Payload, listen
from models.errors import MissiondeskError

log = logging.getLogger(__name__)

CHANNEL = "missiondesk_schedule"

# Changes that come together (one transaction, a chain of Missions) are made together; a stream that does
# not end is cut off.
GATHER_SECONDS = 0.1
GATHER_AT_MOST_SECONDS = 1.0
# What failed is tried again at this pace; without anything to do it is only a look at the connection.
PATIENCE_SECONDS = 2.0


class ScheduleListener:
    """Syncs a Mission whenever its rows change, everything after other changes and after each (re)connect."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine, self._url = engine, url
        self._everything = False
        self._changed: set[int] = set()
        self._gathering_since: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. What can't be synced now stays on the list."""
        for heard in listen(self._url, CHANNEL, patience=self._patience, stop=stop):
            match heard:
                case Connected() | Payload("all"):
                    self._everything = True
                case Payload(text):
                    self._changed |= {int(mission_id) for mission_id in text.split(",")}
                case None:
                    self._gathering_since = None
                    self._sync()
                    continue
            now = time.monotonic()
            self._gathering_since = self._gathering_since or now
            if now - self._gathering_since > GATHER_AT_MOST_SECONDS:
                self._gathering_since = None
                self._sync()

    def _patience(self) -> float:
        return PATIENCE_SECONDS if self._gathering_since is None else GATHER_SECONDS

    def _sync(self) -> None:
        if not (self._everything or self._changed):
            return
        try:
            synced = sync(self._engine, mission_ids=None if self._everything else self._changed)
        except (MissiondeskError, PrefectException, httpx.HTTPError) as error:
            log.warning("schedules not synced, trying again: %s: %s", type(error).__name__, error)
            return
        # A change that was cut off may have left more than its Mission's own deployment to tidy up.
        self._everything = any(each.passing for each in synced.not_made)
        self._changed.clear()
        if synced.changes or synced.invalid:
            log.info("schedules synced:\n%s", synced)


def main() -> None:
    settings = Settings.load()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    url = settings.database_url.get_secret_value()
    engine = connect(url)
    timed = threading.Thread(target=_until_stopped, args=(TimedRuns(engine, url), stop), name="timed")
    timed.start()
    try:
        ScheduleListener(engine, url).run(stop)
    finally:
        stop.set()
        timed.join()


def _until_stopped(timed_runs: TimedRuns, stop: threading.Event) -> None:
    try:
        timed_runs.run(stop)
    finally:
        stop.set()  # whoever watches the desk starts the whole listener again


if __name__ == "__main__":
    main()
