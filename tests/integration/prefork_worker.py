"""A prefork worker in a process of its own, and what tests ask of a Prefect server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Scheduled

from tests.waiting import wait_for

FLOWS = "tests.integration.prefork_flows"
ROOT = Path(__file__).parents[2]
Found = TypeVar("Found")


class RunningWorker:
    """`prefect worker start --type prefork` with two children, and what it prints."""

    def __init__(self, pool: str, home: Path, api: str, *, once: bool = False, **settings: str) -> None:
        self._log = home / f"worker-{uuid4().hex}.log"
        environment = {
            **os.environ,
            "PREFECT_API_URL": api,
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "MISSIONDESK_HOME": str(home),
            "MISSIONDESK_WORKER_CHILDREN": "2",
            "MISSIONDESK_PRELOAD": FLOWS,
            **settings,
        }
        arguments = ["-m", "prefect", "worker", "start", "--type", "prefork", "--pool", pool]
        if once:
            arguments.append("--run-once")
        with self._log.open("w") as log:
            self.process = psutil.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        return self._log.read_text()

    def descendants(self) -> list[psutil.Process]:
        return self.process.children(recursive=True)  # type: ignore[no-any-return]

    def stop(self) -> int:
        """SIGTERM, as a service manager would; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=90)  # type: ignore[no-any-return]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=30)

    def end(self) -> None:
        """Leave nothing behind, however the test went."""
        if self.process.is_running():
            family = [self.process, *self.descendants()]
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(family, timeout=30)


class Pool:
    """One work pool of the tests' Prefect server, and the runs in it."""

    def __init__(self, client: SyncPrefectClient, name: str) -> None:
        self.client = client
        self.name = name

    def deploy(self, flow: str, **options: Any) -> UUID:
        flow_id = self.client.create_flow_from_name(f"{flow} of {self.name}")
        options.setdefault("entrypoint", f"{FLOWS}.{flow}")
        return self.client.create_deployment(flow_id, name=uuid4().hex, work_pool_name=self.name, **options)

    def order(
        self,
        deployment_id: UUID,
        parameters: Mapping[str, Any] | None = None,
        *,
        due: datetime | None = None,
        of_schedule: bool = False,
        job_variables: Mapping[str, Any] | None = None,
    ) -> UUID:
        """A new run; `of_schedule`: marked as one that the deployment's schedule asked for."""
        flow_run = self.client.create_flow_run_from_deployment(
            deployment_id,
            parameters=dict(parameters or {}),
            state=Scheduled(scheduled_time=due) if due else None,
            idempotency_key=f"scheduled {deployment_id} {due}" if of_schedule else None,
            job_variables=dict(job_variables) if job_variables else None,
        )
        return flow_run.id

    def run(self, flow_run_id: UUID) -> FlowRun:
        return self.client.read_flow_run(flow_run_id)

    def state(self, flow_run_id: UUID) -> State[Any]:
        state = self.run(flow_run_id).state
        assert state is not None
        return state

    def states_of_tasks(self, *flow_run_ids: UUID) -> list[str | None]:
        """As far as the server has heard: it learns of tasks some time after they ran."""
        of_runs = FlowRunFilter(id=FlowRunFilterId(any_=list(flow_run_ids)))
        return [run.state_name for run in self.client.read_task_runs(flow_run_filter=of_runs)]

    def wait_until_running(self, flow_run_id: UUID) -> None:
        wait_for(lambda: self.state(flow_run_id).is_running())

    def wait_until_over(self, flow_run_id: UUID, seconds: float = 60) -> State[Any]:
        wait_for(lambda: self.state(flow_run_id).is_final(), seconds=seconds)
        return self.state(flow_run_id)
