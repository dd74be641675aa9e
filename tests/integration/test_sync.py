"""From the Mission table to a real Prefect server: what is pushed, what is touched, what is left alone."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from sqlalchemy import Engine, text

from deployments.deployed import read_deployed
from deployments.missed import plan_missed
from deployments.sync import sync
from missiondesk.store.database import connect
from missiondesk.store.deployments import Deployments

pytestmark = pytest.mark.prefect


@pytest.fixture
def engine(database_url: str, prefect_api: str) -> Engine:
    async def make_pool() -> None:
        async with get_client() as client:
            with suppress(ObjectAlreadyExists):
                await client.create_work_pool(WorkPoolCreate(name="desk", type="process"))

    asyncio.run(make_pool())
    return connect(database_url)


@pytest.fixture
def named() -> str:
    """Mission names of one's own: the server is shared by all tests."""
    return uuid4().hex[:8]


def run(engine: Engine, statement: str, **given: Any) -> None:
    with engine.connect() as connection:
        connection.execute(text(statement), given)


def add_mission(engine: Engine, name: str, periods: list[str | None], **columns: Any) -> None:
    for number, period in enumerate(periods):
        run(
            engine,
            "INSERT INTO task (name, template, period) VALUES (:name, 'condition_is', :period)",
            name=f"{name} {number}",
            period=period,
        )
    names = [f"{name} {number}" for number in range(len(periods))]
    given = {"name": name, "names": names, **columns}
    extra = "".join(f", {column}" for column in columns)
    values = "".join(f", :{column}" for column in columns)
    run(
        engine,
        f"INSERT INTO mission (name, task_ids{extra})"  # noqa: S608
        f" SELECT :name, array_agg(id ORDER BY id){values} FROM task WHERE name = ANY (:names)",
        **given,
    )


def deployment_of(name: str) -> DeploymentResponse | None:
    async def read() -> DeploymentResponse | None:
        async with get_client() as client:
            try:
                return await client.read_deployment_by_name(f"{name}/mission")
            except ObjectNotFound:
                return None

    return asyncio.run(read())


def schedules_of(name: str) -> dict[str, tuple[str, bool]]:
    deployment = deployment_of(name)
    assert deployment is not None
    return {each.slug: (each.schedule.cron, each.active) for each in deployment.schedules}


def test_a_mission_becomes_a_flow_with_one_schedule_per_period(engine: Engine, named: str) -> None:
    add_mission(engine, named, ["60min", None, "1min", "60min"])
    sync(engine)
    deployment = deployment_of(named)
    assert deployment is not None
    assert deployment.entrypoint == "flows.mission.mission_flow"
    assert deployment.parameters == {"mission": named}
    assert schedules_of(named) == {"1min": ("* * * * *", False), "60min": ("0 * * * *", True)}


def test_a_second_sync_changes_nothing(engine: Engine, named: str) -> None:
    add_mission(engine, named, ["5min"])
    assert sync(engine).changes
    before = deployment_of(named)
    assert sync(engine).changes == ()
    assert deployment_of(named) == before


def test_a_plan_changes_nothing_and_says_what_it_would(engine: Engine, named: str) -> None:
    add_mission(engine, named, ["5min"])
    planned = sync(engine, plan_only=True)
    assert f"+ {named}" in str(planned)
    assert deployment_of(named) is None


def test_a_period_change_flips_the_active_schedule(engine: Engine, named: str) -> None:
    add_mission(engine, named, ["1min", "60min"])
    run(
        engine,
        "INSERT INTO missionary (mission_id, task_ids, period)"
        " SELECT id, task_ids, '1min' FROM mission WHERE name = :name",
        name=named,
    )
    sync(engine)
    for period in ("60min", "1min"):
        run(engine, "UPDATE missionary SET period = :period", period=period)
        sync(engine)
        active = [slug for slug, (_, active) in schedules_of(named).items() if active]
        assert active == [period]


def test_a_disabled_mission_has_no_active_schedule(engine: Engine, named: str) -> None:
    add_mission(engine, named, ["1min"])
    sync(engine)
    run(engine, "UPDATE mission SET enabled = false")
    sync(engine)
    assert schedules_of(named) == {"1min": ("* * * * *", False)}
    run(engine, "UPDATE mission SET enabled = true")
    sync(engine)
    assert schedules_of(named) == {"1min": ("* * * * *", True)}


def test_a_deleted_mission_is_gone(engine: Engine, named: str) -> None:
    add_mission(engine, named, ["1min"])
    sync(engine)
    run(engine, "DELETE FROM mission WHERE name = :name", name=named)
    sync(engine)
    assert deployment_of(named) is None


def test_a_renamed_mission_moves_to_its_new_flow(engine: Engine, named: str) -> None:
    add_mission(engine, named, ["1min"])
    sync(engine)
    run(engine, "UPDATE mission SET name = :new WHERE name = :name", name=named, new=f"{named}-new")
    sync(engine)
    assert deployment_of(named) is None
    assert deployment_of(f"{named}-new") is not None


def test_a_crontab_gives_one_schedule_per_entry(engine: Engine, named: str) -> None:
    crontab = '[{"minute": 0, "hour": "*"}, "30 9 * * 1-5"]'
    add_mission(engine, named, ["1min"])
    run(
        engine,
        "UPDATE mission SET crontab = CAST(:crontab AS jsonb), timezone = 'Europe/Berlin'",
        crontab=crontab,
    )
    sync(engine)
    assert schedules_of(named) == {"cron-1": ("0 * * * *", True), "cron-2": ("30 9 * * 1-5", True)}
    run(engine, "UPDATE mission SET crontab = NULL")
    sync(engine)
    assert schedules_of(named) == {"1min": ("* * * * *", True)}


def test_drift_in_prefect_is_repaired(engine: Engine, named: str) -> None:
    add_mission(engine, named, ["1min"])
    sync(engine)
    deployment = deployment_of(named)
    assert deployment is not None

    async def drift() -> None:
        async with get_client() as client:
            await client.update_deployment_schedule(deployment.id, deployment.schedules[0].id, active=False)
            await client.pause_deployment(deployment.id)

    asyncio.run(drift())
    assert schedules_of(named) == {"1min": ("* * * * *", False)}
    sync(engine)
    assert schedules_of(named) == {"1min": ("* * * * *", True)}
    repaired = deployment_of(named)
    assert repaired is not None
    assert not repaired.paused


def test_a_bad_row_stops_that_mission_alone(engine: Engine, named: str) -> None:
    add_mission(engine, f"{named}-bad", ["1min"])
    add_mission(engine, f"{named}-good", ["1min"])
    sync(engine)
    run(engine, "UPDATE mission SET timezone = 'Mars' WHERE name = :name", name=f"{named}-bad")
    run(engine, "UPDATE task SET period = '5min' WHERE name = :name", name=f"{named}-good 0")
    synced = sync(engine)
    assert "Mars" in str(synced.invalid[0])
    assert schedules_of(f"{named}-good") == {"5min": ("*/5 * * * *", True)}
    assert schedules_of(f"{named}-bad") == {"1min": ("* * * * *", True)}


@pytest.mark.parametrize("edit", ["UPDATE mission SET timezone = 'Mars'", "UPDATE task SET period = '2min'"])
def test_disabling_silences_a_mission_whatever_else_is_wrong(engine: Engine, named: str, edit: str) -> None:
    add_mission(engine, named, ["1min"])
    sync(engine)
    run(engine, edit)
    run(engine, "UPDATE mission SET enabled = false")
    synced = sync(engine)
    assert len(synced.invalid) == 1
    assert schedules_of(named) == {"1min": ("* * * * *", False)}
    assert sync(engine).changes == ()


def test_a_queue_of_queues_stops_that_mission_alone(engine: Engine, named: str) -> None:
    add_mission(engine, f"{named}-bad", ["1min"])
    add_mission(engine, f"{named}-good", ["1min"])
    run(engine, "UPDATE mission SET task_ids = '{{1,2}}' WHERE name = :name", name=f"{named}-bad")
    synced = sync(engine)
    assert f"{named}-bad" in str(synced.invalid[0])
    assert schedules_of(f"{named}-good") == {"1min": ("* * * * *", True)}


def test_only_the_missions_asked_for_are_touched(engine: Engine, named: str) -> None:
    add_mission(engine, f"{named}-a", ["1min"])
    add_mission(engine, f"{named}-b", ["1min"])
    with engine.connect() as connection:
        wanted = connection.scalar(text("SELECT id FROM mission WHERE name = :name"), {"name": f"{named}-b"})
    sync(engine, mission_ids=[wanted])
    assert deployment_of(f"{named}-a") is None
    assert deployment_of(f"{named}-b") is not None


def test_no_due_instant_is_lost_in_a_change(engine: Engine, named: str) -> None:
    """The runs of the seconds around a change exist, though Prefect deleted them with it."""
    soon = datetime.now(UTC) + timedelta(seconds=3)
    line = f"{soon:%M %H} * * * {soon.second}"
    add_mission(engine, named, ["1min"])
    run(engine, "UPDATE mission SET crontab = to_jsonb(CAST(:line AS text))", line=line)
    sync(engine)
    deployment = deployment_of(named)
    assert deployment is not None

    async def runs() -> list[datetime | None]:
        async with get_client() as client:
            of_this = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]))
            return [each.expected_start_time for each in await client.read_flow_runs(flow_run_filter=of_this)]

    assert soon.replace(microsecond=0) in asyncio.run(runs())


def missed_minutes(engine: Engine, named: str, now: datetime, *, planned: int, **columns: Any) -> list[int]:
    """The minutes before `now` that have a run, when those of `planned` minutes ago had one already."""
    given = {"missed_runs": "all", "max_lateness_seconds": 3000, "updated_at": now - timedelta(days=1)}
    add_mission(engine, named, ["1min"], **given | columns)
    sync(engine)
    deployment = deployment_of(named)
    assert deployment is not None

    async def planned_again() -> list[int]:
        async with get_client() as client:
            one = (now - timedelta(minutes=planned)).isoformat()
            await client.request(
                "POST",
                "/deployments/{id}/schedule",
                path_params={"id": deployment.id},
                json={"start_time": one, "end_time": one},
            )
            down_until = datetime.now(UTC)
            for _ in range(2):
                await plan_missed(engine, down_until=down_until, now=now)
            runs = await client.read_flow_runs(
                flow_run_filter=FlowRunFilter(
                    deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
                    expected_start_time=FlowRunFilterExpectedStartTime(before_=now),
                ),
                sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            )
        instants = [each.expected_start_time for each in runs if each.expected_start_time is not None]
        return [round((now - instant).total_seconds() / 60) for instant in instants]

    return asyncio.run(planned_again())


def test_what_a_downtime_of_the_desk_left_out_is_planned_once(engine: Engine, named: str) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    assert missed_minutes(engine, f"{named}-a", now, planned=40) == list(range(41))
    assert missed_minutes(engine, f"{named}-b", now, planned=60) == [*range(51), 60]
    changed = now - timedelta(minutes=20)
    assert missed_minutes(engine, f"{named}-c", now, planned=40, updated_at=changed) == [*range(21), 40]
    assert missed_minutes(engine, f"{named}-d", now, planned=40, missed_runs="latest") == [40]


def test_what_is_deployed_reads_back_as_it_was_meant(engine: Engine, named: str) -> None:
    add_mission(engine, named, ["1min", "4h"])
    sync(engine)

    async def read() -> dict[str, Any]:
        async with get_client() as client:
            return dict(await read_deployed(client, [], Deployments(engine).keys()))

    mine = [each for each in asyncio.run(read()).values() if each.spec.flow_name == named]
    assert [each.spec.hash for each in mine] == [Deployments(engine).hashes()[mine[0].spec.key]]
