"""Turns pending items of timed tasks into scheduled Prefect runs, one run for each batch and attempt."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectException
from prefect.states import Scheduled
from sqlalchemy import Engine

from deployments.own_flows import TIMED
from missiondesk.store.listen import Connected, Payload, listen
from missiondesk.store.timed_desk import Attendance
from missiondesk.store.timed_tasks import CHANNEL, TimedTasks
from missiondesk.timed.instants import whole_second
from missiondesk.timed.settings import TimedSettings
from models.errors import MissiondeskError
from models.timed import WantedRun

log = logging.getLogger(__name__)

# New items announce themselves; retries and expiries are looked for at this pace.
PATIENCE_SECONDS = 5.0
# What is announced together is asked for together; what is announced without a pause must not wait for one.
GATHER_SECONDS = 0.1
LONGEST_GATHERING_SECONDS = 1.0
# Items this late that were asked for before have probably lost their run.
AGAIN_SECONDS = 60.0


class TimedRuns:
    """Only one process at a time asks for runs; the others wait for it to be gone."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._url = url
        self._store = TimedTasks(engine)
        self._attendance = Attendance(engine)
        self._heard_first: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. What can't be asked for now is asked for at the next look."""
        try:
            for heard in listen(self._url, CHANNEL, patience=self._patience, stop=stop):
                if isinstance(heard, Connected | Payload) and not self._gathered_enough():
                    continue
                self._heard_first = None
                self._look()
        finally:
            self._attendance.close()

    def ask(self, now: datetime) -> int:
        """Ask Prefect for every run that is wanted; how many were."""
        settings = TimedSettings.load()
        wanted = self._store.wanted_runs(
            whole_second(now),
            most_attempts=settings.attempts,
            retry_seconds=settings.retry_seconds,
            again_seconds=AGAIN_SECONDS,
        )
        if wanted:
            with get_client(sync_client=True) as client:
                deployment = client.read_deployment_by_name(f"{TIMED.flow_name}/{TIMED.name}")
                for each in wanted:
                    _ask_for(client, deployment.id, each)
                    self._store.asked(each)
        return len(wanted)

    def _gathered_enough(self) -> bool:
        now = time.monotonic()
        self._heard_first = self._heard_first or now
        return now - self._heard_first >= LONGEST_GATHERING_SECONDS

    def _patience(self) -> float:
        return PATIENCE_SECONDS if self._heard_first is None else GATHER_SECONDS

    def _look(self) -> None:
        now = datetime.now(UTC)
        try:
            if self._attendance.held():
                self._store.sweep(whole_second(now), TimedSettings.load().attempts)
                self.ask(now)
        except (MissiondeskError, PrefectException, httpx.HTTPError) as error:
            log.warning("timed items not scheduled, trying again: %s: %s", type(error).__name__, error)


def _ask_for(client: SyncPrefectClient, deployment_id: UUID, wanted: WantedRun) -> None:
    key = f"timed {wanted.batch} {wanted.attempts}"
    while True:
        run = client.create_flow_run_from_deployment(
            deployment_id,
            parameters={"batch": str(wanted.batch)},
            state=Scheduled(scheduled_time=wanted.executed_time),
            name=f"{wanted.task_name or wanted.task} · {wanted.executed_time:%Y-%m-%d %H:%M:%S}Z",
            tags=["timed", f"task:{wanted.task}"],
            idempotency_key=key,
        )
        if run.state is None or not run.state.is_final():
            return
        # The run that was asked for before has ended without its items: another one follows it.
        key = f"timed {wanted.batch} {wanted.attempts} after {run.id}"
