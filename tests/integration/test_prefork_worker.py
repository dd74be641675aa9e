"""The prefork worker against a real Prefect server: what a flow run may count on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
)
from prefect.states import Cancelling, Completed

from deployments.market import QUEUES
from deployments.prefork.flow_runs import FlowRuns
from deployments.prefork.registry import WorkerRegistry
from deployments.prefork.worker import PreforkWorker
from deployments.queues import keep_queues
from tests.integration.prefork_worker import ROOT, Pool, RunningWorker
from tests.processes import alive
from tests.waiting import wait_for

pytestmark = pytest.mark.prefect

PATH_OF_FLOWS = "tests/integration/prefork_flows.py:three_tasks"
StartWorker = Callable[..., RunningWorker]


def processes_in(folder: Path) -> list[int]:
    """The processes that ran there, in the order in which they began."""
    return [int(name.split()[1]) for name in names_in(folder) if name[0].isdigit()]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def pool(prefect_api: str) -> Iterator[Pool]:
    name = f"prefork-{uuid4().hex}"
    with get_client(sync_client=True) as client:
        template = PreforkWorker.get_default_base_job_template()
        client.request(
            "POST",
            "/work_pools/",
            json=WorkPoolCreate(name=name, type="prefork", base_job_template=template).model_dump(
                mode="json"
            ),
        )
        yield Pool(client, name)


@pytest.fixture
def start_worker(pool: Pool, prefect_api: str, short_home: Path) -> Iterator[StartWorker]:
    workers: list[RunningWorker] = []

    def start(**settings: str) -> RunningWorker:
        workers.append(RunningWorker(pool.name, short_home, prefect_api, **settings))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


def test_runs_end_as_their_flows_do(pool: Pool, start_worker: StartWorker) -> None:
    start_worker()
    good = pool.order(pool.deploy("three_tasks"), {"number": 4})
    by_path = pool.order(pool.deploy("three_tasks", entrypoint=PATH_OF_FLOWS, path=str(ROOT)))
    wrong = pool.order(pool.deploy("three_tasks"), {"number": "four"})
    missing = pool.order(pool.deploy("no_such_flow"))
    commanded = pool.order(pool.deploy("three_tasks"), job_variables={"command": "echo"})

    assert pool.wait_until_over(good).is_completed()
    assert pool.wait_until_over(by_path).is_completed()
    assert wait_for(lambda: pool.states_of_tasks(good) == ["Completed"] * 3)
    assert pool.wait_until_over(wrong).is_failed()
    assert "number" in (pool.state(wrong).message or "")
    assert pool.wait_until_over(missing).is_crashed()
    assert "no_such_flow" in (pool.state(missing).message or "")
    assert "expected no command" in (pool.wait_until_over(commanded).message or "")


def test_a_run_has_its_own_environment_variables(
    pool: Pool, start_worker: StartWorker, tmp_path: Path
) -> None:
    start_worker(MISSIONDESK_WORKER_CHILDREN="1")
    deployment = pool.deploy("read_environment", parameters={"name": "COLOUR", "folder": str(tmp_path)})
    with_it = pool.order(deployment, job_variables={"env": {"COLOUR": "green"}})
    pool.wait_until_over(with_it)
    without = pool.order(deployment)
    pool.wait_until_over(without)
    assert names_in(tmp_path) == ["green", "unset"]


def test_a_killed_child_ends_its_run_as_crashed_and_is_replaced(
    pool: Pool, start_worker: StartWorker, tmp_path: Path
) -> None:
    start_worker(MISSIONDESK_WORKER_CHILDREN="1")
    outer = pool.order(pool.deploy("outer"), {"folder": str(tmp_path)})
    (victim,) = wait_for(lambda: processes_in(tmp_path))
    parent = FlowRunFilterParentFlowRunId(any_=[outer])
    (inner,) = pool.client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=parent))
    wait_for(lambda: pool.states_of_tasks(outer, inner.id) == ["Running", "Running"])

    psutil.Process(victim).kill()
    state = pool.wait_until_over(outer)

    assert state.is_crashed()
    assert f"process {victim} was killed by SIGKILL" in (state.message or "")
    assert pool.wait_until_over(inner.id).is_crashed()
    wait_for(lambda: pool.states_of_tasks(outer, inner.id) == ["Crashed", "Crashed"])
    wait_for(lambda: f"crashed {outer} Crashed" in names_in(tmp_path))
    (tmp_path / "go").touch()
    assert pool.wait_until_over(pool.order(pool.deploy("outer"), {"folder": str(tmp_path)})).is_completed()
    assert len(set(processes_in(tmp_path))) == 2


def test_the_forkserver_may_die(pool: Pool, start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker(MISSIONDESK_WORKER_CHILDREN="1")
    deployment = pool.deploy("note_process", parameters={"folder": str(tmp_path)})
    assert pool.wait_until_over(pool.order(deployment)).is_completed()
    (before,) = processes_in(tmp_path)
    forkserver = psutil.Process(before).parent()
    assert forkserver is not None and forkserver.ppid() == worker.process.pid
    forkserver.kill()
    wait_for(lambda: not psutil.pid_exists(before))
    assert pool.wait_until_over(pool.order(deployment)).is_completed()
    assert len(set(processes_in(tmp_path))) == 2


def test_cancelling_ends_the_run_and_leaves_the_child(
    pool: Pool, start_worker: StartWorker, tmp_path: Path
) -> None:
    start_worker(MISSIONDESK_WORKER_CHILDREN="1")
    deployment = pool.deploy("wait_for_file", parameters={"folder": str(tmp_path)})
    cancelled = pool.order(deployment)
    wait_for(lambda: processes_in(tmp_path))

    pool.client.set_flow_run_state(cancelled, Cancelling())
    state = pool.wait_until_over(cancelled)

    assert state.is_cancelled()
    (tmp_path / "go").touch()
    assert pool.wait_until_over(pool.order(deployment)).is_completed()
    assert len(set(processes_in(tmp_path))) == 1


def test_a_run_past_its_timeout_is_killed(pool: Pool, start_worker: StartWorker, tmp_path: Path) -> None:
    start_worker()
    deployment = pool.deploy("wait_for_file", job_variables={"timeout_seconds": 1})
    state = pool.wait_until_over(pool.order(deployment, {"folder": str(tmp_path)}))
    assert state.is_crashed()
    assert "longer than timeout_seconds=1" in (state.message or "")


def test_children_are_replaced_after_some_runs(pool: Pool, start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker(MISSIONDESK_WORKER_CHILDREN="1", MISSIONDESK_WORKER_RUNS_PER_CHILD="2")
    deployment = pool.deploy("note_process", parameters={"folder": str(tmp_path)})
    for run in [pool.order(deployment) for _ in range(5)]:
        assert pool.wait_until_over(run).is_completed()
    first, second, third, fourth, fifth = processes_in(tmp_path)
    assert first == second != third == fourth != fifth
    assert "A child is gone" not in worker.printed


def test_sigterm_lets_running_runs_end_and_leaves_the_others_waiting(
    pool: Pool, start_worker: StartWorker, short_home: Path, tmp_path: Path
) -> None:
    worker = start_worker()
    deployment = pool.deploy("wait_for_file", parameters={"folder": str(tmp_path)})
    runs = [pool.order(deployment) for _ in range(4)]
    wait_for(lambda: len(processes_in(tmp_path)) == 2)
    family = worker.descendants()

    # As from a service manager that tells every process of the service.
    for process in [*family, worker.process]:
        process.terminate()
    wait_for(lambda: "draining" in worker.printed)
    (tmp_path / "go").touch()

    assert worker.process.wait(timeout=60) == 0
    wait_for(lambda: not alive(family))
    states = [pool.state(run) for run in runs]
    assert sum(state.is_completed() for state in states) == 2
    assert sum(state.is_scheduled() for state in states) == 2
    assert names_in(short_home / "workers") == []


def test_a_run_that_outlasts_the_grace_period_is_killed(
    pool: Pool, start_worker: StartWorker, tmp_path: Path
) -> None:
    worker = start_worker(MISSIONDESK_WORKER_GRACE_SECONDS="0.5")
    run = pool.order(pool.deploy("wait_for_file"), {"folder": str(tmp_path)})
    wait_for(lambda: processes_in(tmp_path))
    assert worker.stop() == 0
    assert pool.state(run).is_crashed()
    assert "its worker was stopped" in (pool.state(run).message or "")


def test_a_killed_worker_leaves_no_process_and_the_next_one_settles_its_runs(
    pool: Pool, start_worker: StartWorker, short_home: Path, tmp_path: Path
) -> None:
    worker = start_worker()
    deployment = pool.deploy("wait_for_file", parameters={"folder": str(tmp_path)})
    running = pool.order(deployment)
    wait_for(lambda: processes_in(tmp_path))
    pool.wait_until_running(running)
    claimed = pool.order(deployment)
    family = worker.descendants()

    worker.kill()
    wait_for(lambda: not alive(family))
    (registration,) = WorkerRegistry(short_home / "workers").dead(pool.name)
    claim_as(registration.record.token, pool, claimed)
    registration.close()
    assert pool.state(running).is_running()

    (tmp_path / "go").touch()
    start_worker()
    state = pool.wait_until_over(running)
    assert state.is_crashed()
    assert "died while it ran" in (state.message or "")
    assert pool.wait_until_over(claimed).is_completed()
    wait_for(lambda: len(names_in(short_home / "workers")) == 1)


def claim_as(token: str, pool: Pool, flow_run_id: UUID) -> None:
    async def claim() -> None:
        async with get_client() as client:
            flow_runs = FlowRuns(client, pool.name, [], "earlier", token)
            assert await flow_runs.claim(flow_run_id)
            assert await flow_runs.claim(flow_run_id), "a claim whose answer was lost is repeated"
            assert not await FlowRuns(client, pool.name, [], "other", uuid4().hex).claim(flow_run_id)

    asyncio.run(claim())


def test_what_has_ended_is_never_claimed_again(pool: Pool) -> None:
    flow_run = pool.order(pool.deploy("three_tasks"))
    pool.client.set_flow_run_state(flow_run, Completed())

    async def claims() -> bool:
        async with get_client() as client:
            return await FlowRuns(client, pool.name, [], "late", uuid4().hex).claim(flow_run)

    assert not asyncio.run(claims())
    assert pool.state(flow_run).is_completed()


def test_two_workers_of_one_pool_run_everything_once(
    pool: Pool, start_worker: StartWorker, tmp_path: Path
) -> None:
    start_worker()
    second = start_worker()
    due = datetime.now(UTC) + timedelta(seconds=12)
    deployment = pool.deploy("note_process", parameters={"folder": str(tmp_path)})
    runs = [pool.order(deployment, due=due) for _ in range(24)]
    for run in runs:
        assert pool.wait_until_over(run).is_completed()
        assert pool.run(run).run_count == 1
    assert len(processes_in(tmp_path)) == 24
    assert len(set(processes_in(tmp_path))) == 4

    folder = tmp_path / "held"
    folder.mkdir()
    held = [pool.order(pool.deploy("wait_for_file"), {"folder": str(folder)}) for _ in range(4)]
    wait_for(lambda: len(processes_in(folder)) == 4)
    family = second.descendants()
    lost = {process.pid for process in family} & set(processes_in(folder))
    second.kill()
    wait_for(lambda: not alive(family))
    start_worker()
    wait_for(lambda: sum(pool.state(run).is_crashed() for run in held) == len(lost))
    (folder / "go").touch()
    assert sum(pool.wait_until_over(run).is_completed() for run in held) == 4 - len(lost)


def test_a_run_begins_on_time(pool: Pool, start_worker: StartWorker, tmp_path: Path) -> None:
    start_worker()
    deployment = pool.deploy("note_process", parameters={"folder": str(tmp_path)})
    pool.wait_until_over(pool.order(deployment))
    due = [datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (4, 5, 6)]
    runs = [pool.order(deployment, due=at) for at in due]
    assert all(pool.wait_until_over(run).is_completed() for run in runs)
    started = [pool.run(run).start_time or datetime.max.replace(tzinfo=UTC) for run in runs]
    late = [began - at for began, at in zip(started, due, strict=True)]
    assert min(late) >= timedelta(0)
    assert median(late) < timedelta(seconds=2)


def test_a_backlog_in_turn_runs_in_order_one_after_the_other(
    pool: Pool, start_worker: StartWorker, tmp_path: Path
) -> None:
    deployment = pool.deploy(
        "note_process", parameters={"folder": str(tmp_path)}, job_variables={"in_turn": True}
    )
    now = datetime.now(UTC)
    missed = [
        pool.order(deployment, due=now - timedelta(minutes=minutes), of_schedule=True)
        for minutes in (125, 65, 5)
    ]
    start_worker()
    assert all(pool.wait_until_over(run).is_completed() for run in missed)
    starts = [pool.run(run).start_time for run in missed]
    ends = [pool.run(run).end_time for run in missed]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))  # type: ignore[operator]


def test_run_once_runs_what_is_due_and_returns(pool: Pool, prefect_api: str, short_home: Path) -> None:
    runs = [pool.order(pool.deploy("three_tasks")) for _ in range(3)]
    worker = RunningWorker(pool.name, short_home, prefect_api, once=True)
    try:
        assert worker.process.wait(timeout=60) == 0
    finally:
        worker.end()
    assert all(pool.state(run).is_completed() for run in runs)


def wait_until_polled(pool: Pool, polls: int = 3) -> None:
    """So often from now on: what was ordered before has certainly been fetched by the last but one."""
    begun, seen = datetime.now(UTC), set[datetime]()

    def enough() -> bool:
        queues = pool.client.read_work_queues(work_pool_name=pool.name)
        seen.update(each.last_polled for each in queues if each.last_polled and each.last_polled > begun)
        return len(seen) >= polls

    wait_for(enough)


def test_of_two_runs_that_wait_the_one_of_the_more_urgent_queue_begins_first(
    pool: Pool, start_worker: StartWorker, tmp_path: Path
) -> None:
    asyncio.run(make_queues(pool))
    start_worker(MISSIONDESK_WORKER_CHILDREN="1")
    gate = tmp_path / "gate"
    gate.mkdir()
    busy = pool.order(pool.deploy("wait_for_file"), {"folder": str(gate)})
    pool.wait_until_running(busy)
    waiting = {}
    for queue in ("ohlc", "signals"):  # the less urgent one is asked for first
        deployment = pool.deploy("three_tasks", work_queue_name=queue)
        waiting[queue] = pool.order(deployment)
    wait_until_polled(pool)
    assert all(pool.state(run).is_scheduled() for run in waiting.values())
    (gate / "go").touch()
    for run in waiting.values():
        assert pool.wait_until_over(run).is_completed()
    begun = {queue: pool.run(run).start_time for queue, run in waiting.items()}
    assert begun["signals"] < begun["ohlc"]


async def make_queues(pool: Pool) -> None:
    async with get_client() as client:
        await keep_queues(client, pool.name, QUEUES, {})
