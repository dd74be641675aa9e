"""From pending items to Prefect runs: one for each batch, and another after a failure or a loss."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Cancelled
from sqlalchemy import Engine, select, text

from deployments.sync import sync
from deployments.timed_runs import TimedRuns
from flows.desk import desk_of_this_process
from flows.timed import timed_flow as run_timed_flow
from missiondesk.store.database import connect
from missiondesk.store.timed_desk import desk_attends
from models.errors import InputRefused
from models.timed import TimedStatus
from models.timed_tables import timed_task as table
from tests.integration import timed_examples as examples

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves a connection of an async subflow to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def engine(database_url: str, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("MISSIONDESK_DATABASE_URL", database_url)
    examples.CALLS.clear()
    examples.FAILURES.clear()
    desk_of_this_process.cache_clear()
    opened = connect(database_url)
    with get_client(sync_client=True) as client:
        with suppress(ObjectAlreadyExists):
            asyncio.run(_make_pool())
        sync(opened)
        assert client.read_deployment_by_name("timed/desk")
    yield opened
    desk_of_this_process.cache_clear()
    opened.dispose()
    gc.collect()


async def _make_pool() -> None:
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name="desk", type="process"))


@pytest.fixture
def runs(engine: Engine, database_url: str) -> TimedRuns:
    return TimedRuns(engine, database_url)


def rows(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(table).order_by(table.c.id)))


def sql(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.execute(text(statement))


def asked_for(engine: Engine) -> list[FlowRun]:
    """The runs of the batches in this test's database, oldest first; other tests share the server."""
    batches = {str(row.batch) for row in rows(engine)}
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["timed"])),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=["desk"])),
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=["timed"])),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        )
    return [run for run in found if run.parameters["batch"] in batches]


def soon(seconds: int = 600) -> int:
    return int(datetime.now(UTC).timestamp()) + seconds


def come_due(engine: Engine) -> None:
    """What was ahead is due now."""
    sql(engine, "UPDATE timed_task SET executed_time = now(), asked_at = asked_at")


def run_batches(engine: Engine) -> list[Any]:
    """Run every batch as a worker would; the final states."""
    batches = list(dict.fromkeys(row.batch for row in rows(engine)))
    return [run_timed_flow(batch, return_state=True) for batch in batches]


def test_each_batch_becomes_one_run_at_its_time(engine: Engine, runs: TimedRuns) -> None:
    one, other = soon(600), soon(1200)
    outcome = examples.plain({one: [{"channel": "A"}, {"channel": "B"}], other: [{"channel": "A"}]})
    assert outcome.pending == 3
    assert runs.ask(datetime.now(UTC)) == 2
    first, second = asked_for(engine)
    assert first.state is not None and first.state.is_scheduled()
    assert first.expected_start_time == datetime.fromtimestamp(one, UTC)
    assert second.expected_start_time == datetime.fromtimestamp(other, UTC)
    assert first.name.startswith("Plain · ")
    assert set(first.tags) >= {"timed", "task:plain"}
    assert examples.CALLS == []


def test_nothing_is_asked_for_twice(engine: Engine, database_url: str) -> None:
    examples.plain({soon(): [{"channel": "A"}]})
    gate = threading.Barrier(3)

    def ask() -> None:
        gate.wait(30)
        TimedRuns(engine, database_url).ask(datetime.now(UTC))

    with ThreadPoolExecutor(3) as threads:
        for asking in [threads.submit(copy_context().run, ask) for _ in range(3)]:
            asking.result()
    # As after a death between asking and remembering it:
    sql(engine, "UPDATE timed_task SET asked_at = NULL")
    assert TimedRuns(engine, database_url).ask(datetime.now(UTC)) == 1
    assert TimedRuns(engine, database_url).ask(datetime.now(UTC)) == 0
    examples.plain({int(rows(engine)[0].executed_time.timestamp()): [{"channel": "A"}]})
    assert TimedRuns(engine, database_url).ask(datetime.now(UTC)) == 0
    assert len(asked_for(engine)) == 1


def test_a_run_calls_the_function_once_with_all_items_and_arguments(engine: Engine) -> None:
    timestamp = soon()
    examples.plain(
        {timestamp: [{"channel": "A", "n": [1]}, {"channel": "B"}]}, "extra", {"deep": 1}, word="w"
    )
    come_due(engine)
    (state,) = run_batches(engine)
    items = [{"channel": "A", "n": [1]}, {"channel": "B"}]
    assert [("plain", {timestamp: items}, ("extra", {"deep": 1}), {"word": "w"})] == examples.CALLS
    assert (state.name, state.message) == ("Completed", "2 ran")
    assert [row.status for row in rows(engine)] == [TimedStatus.SUCCESS] * 2
    (again,) = run_batches(engine)
    assert (again.name, len(examples.CALLS)) == ("Skipped", 1)


@pytest.mark.parametrize("moment", ["aware", "text", "digits"])
def test_a_timestamp_comes_back_as_it_was_spelled(engine: Engine, moment: str) -> None:
    at = datetime.fromtimestamp(soon(2), UTC)
    spelled = {"aware": at, "text": at.isoformat(), "digits": str(int(at.timestamp()))}[moment]
    examples.plain({spelled: [{"channel": "A"}]})
    run_batches(engine)
    assert examples.CALLS[0][1] == {spelled: [{"channel": "A"}]}


def test_a_run_that_is_started_before_its_time_leaves_the_items_to_another(
    engine: Engine, runs: TimedRuns
) -> None:
    """Someone starts it in Prefect's UI."""
    examples.plain({soon(): [{"channel": "A"}]})
    assert runs.ask(datetime.now(UTC)) == 1
    (early,) = run_batches(engine)
    assert early.name == "Skipped" and "before its time" in early.message
    assert (examples.CALLS, rows(engine)[0].attempts) == ([], 0)
    assert runs.ask(datetime.now(UTC)) == 1
    come_due(engine)
    (on_time,) = run_batches(engine)
    assert on_time.message == "1 ran"


def test_what_a_call_ran_meanwhile_is_not_run_again(engine: Engine, runs: TimedRuns) -> None:
    timestamp = soon()
    examples.plain({timestamp: [{"channel": "A"}, {"channel": "B"}]})
    now = datetime.fromtimestamp(timestamp, UTC)
    examples.plain.timed_task.call(now, {timestamp: [{"channel": "A"}]})
    come_due(engine)
    run_batches(engine)
    assert [call[1][timestamp] for call in examples.CALLS] == [[{"channel": "A"}], [{"channel": "B"}]]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (examples.asynchronous, "async"),
        (examples.timed_flow, "timed flow"),
        (examples.flow_of_timed, "flow of timed"),
        (examples.timed_async_flow, "timed async flow"),
    ],
)
def test_every_kind_of_function_runs_now_and_at_its_time(engine: Engine, function: Any, name: str) -> None:
    now, ahead = soon(0), soon(600)
    outcome = function({now: [{"channel": "A"}], ahead: [{"channel": "A"}]})
    if asyncio.iscoroutine(outcome):
        outcome = asyncio.run(outcome)
    assert (outcome.ran, outcome.pending) == (1, 1)
    come_due(engine)
    states = run_batches(engine)
    assert sorted(state.name for state in states) == ["Completed", "Skipped"]
    assert [call[:2] for call in examples.CALLS] == [
        (name, {now: [{"channel": "A"}]}),
        (name, {ahead: [{"channel": "A"}]}),
    ]
    assert [row.status for row in rows(engine)] == [TimedStatus.SUCCESS] * 2


def test_a_failed_batch_is_asked_for_again_after_a_pause(
    engine: Engine, runs: TimedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples.FAILURES.append(ValueError("no luck"))
    examples.plain({soon(): [{"channel": "A"}]})
    assert runs.ask(datetime.now(UTC)) == 1
    come_due(engine)
    (state,) = run_batches(engine)
    assert state.is_failed()
    assert rows(engine)[0].status == TimedStatus.FAILURE
    assert runs.ask(datetime.now(UTC)) == 0, "the pause lasts"
    monkeypatch.setenv("MISSIONDESK_TIMED_RETRY_SECONDS", "0")
    assert runs.ask(datetime.now(UTC)) == 1
    assert len(asked_for(engine)) == 2
    assert run_batches(engine)[0].name == "Completed"
    assert rows(engine)[0].status == TimedStatus.SUCCESS
    assert runs.ask(datetime.now(UTC)) == 0


def test_a_failure_out_of_attempts_stays_one(
    engine: Engine, runs: TimedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISSIONDESK_TIMED_RETRY_SECONDS", "0")
    examples.FAILURES.extend(ValueError(str(number)) for number in range(5))
    examples.plain({soon(): [{"channel": "A"}]})
    come_due(engine)
    for _ in range(3):
        assert runs.ask(datetime.now(UTC)) == 1
        run_batches(engine)
    assert runs.ask(datetime.now(UTC)) == 0
    assert (rows(engine)[0].status, len(examples.CALLS)) == (TimedStatus.FAILURE, 3)


def test_what_a_dead_process_held_is_asked_for_when_its_lease_is_over(
    engine: Engine, runs: TimedRuns
) -> None:
    examples.plain({soon(-5): [{"channel": "A"}]})
    sql(engine, "UPDATE timed_task SET status = 0, holder = 'gone', lease_expires_at = now() + interval '1h'")
    assert runs.ask(datetime.now(UTC)) == 0
    sql(engine, "UPDATE timed_task SET lease_expires_at = now()")
    assert runs.ask(datetime.now(UTC)) == 1
    assert run_batches(engine)[0].name == "Completed"
    assert len(examples.CALLS) == 2


def test_a_lost_run_is_asked_for_anew(engine: Engine, runs: TimedRuns) -> None:
    examples.plain({soon(): [{"channel": "A"}]})
    runs.ask(datetime.now(UTC))
    (lost,) = asked_for(engine)
    overdue = (
        "UPDATE timed_task SET executed_time = now() - interval '2min', asked_at = now() - interval '2min'"
    )
    sql(engine, overdue)
    assert runs.ask(datetime.now(UTC)) == 1
    assert len(asked_for(engine)) == 1, "it is only late"
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(lost.id, Cancelled(), force=True)
    for _ in range(2):
        sql(engine, overdue)
        assert runs.ask(datetime.now(UTC)) == 1
        assert len(asked_for(engine)) == 2


def test_what_has_expired_is_neither_asked_for_nor_run(engine: Engine, runs: TimedRuns) -> None:
    examples.plain({soon(): [{"channel": "A"}]})
    sql(engine, "UPDATE timed_task SET expires_at = now() - interval '5s'")
    assert runs.ask(datetime.now(UTC)) == 0
    assert run_batches(engine)[0].name == "Skipped"
    assert examples.CALLS == []


def test_a_function_that_is_gone_is_a_failure_that_says_so(engine: Engine) -> None:
    examples.plain({soon(): [{"channel": "A"}]})
    sql(engine, "UPDATE timed_task SET entrypoint = 'no_such_module:plain'")
    come_due(engine)
    (state,) = run_batches(engine)
    with pytest.raises(InputRefused, match="on PYTHONPATH"):
        state.result()
    (row,) = rows(engine)
    assert row.status == TimedStatus.FAILURE
    assert "no_such_module" in row.problem


def test_hostile_names_reach_prefect_as_text(engine: Engine, runs: TimedRuns) -> None:
    hostile = "'); DROP TABLE flow_run; --{x}%s/<b>"
    timestamp = soon()
    examples.plain({timestamp: [{"channel": hostile}]})
    with engine.connect() as connection:
        connection.execute(text("UPDATE timed_task SET task = :name, task_name = :name"), {"name": hostile})
    assert runs.ask(datetime.now(UTC)) == 1
    (run,) = asked_for(engine)
    assert run.name.startswith(hostile)
    come_due(engine)
    assert run_batches(engine)[0].name == "Completed"


def test_items_are_turned_into_runs_as_they_come_while_the_desk_is_up(
    engine: Engine, runs: TimedRuns
) -> None:
    stop = threading.Event()
    listening = threading.Thread(target=copy_context().run, args=(runs.run, stop))
    listening.start()
    try:
        deadline = datetime.now(UTC) + timedelta(seconds=30)
        while not desk_attends(engine):
            assert datetime.now(UTC) < deadline
        outcome = examples.plain({soon(): [{"channel": "first"}]})
        assert "the desk runs them at their time" in str(outcome)
        while len(asked_for(engine)) < len({row.batch for row in rows(engine)}):
            assert datetime.now(UTC) < deadline
    finally:
        stop.set()
        listening.join(30)
    assert "no desk runs on this database" in str(examples.plain({soon(): [{"channel": "last"}]}))


def test_the_run_takes_a_batch_id_alone(engine: Engine) -> None:
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("timed/desk")
    assert deployment.parameter_openapi_schema is not None
    assert list(deployment.parameter_openapi_schema["properties"]) == ["batch"]
    assert run_timed_flow(UUID(int=0), return_state=True).name == "Skipped"
