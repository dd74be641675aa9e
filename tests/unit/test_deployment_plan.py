"""What a Mission's rows ask of Prefect, and what has to change there."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from deployments.missions import mission_spec
from deployments.plan import Create, Delete, Deployed, Update, plan
from deployments.spec import DeploymentSpec, ScheduleSpec
from models.mission import Mission, MissionTask

schedules = st.lists(
    st.builds(
        ScheduleSpec,
        slug=st.sampled_from(["1min", "60min", "4h", "cron-1"]),
        cron=st.sampled_from(["* * * * *", "0 * * * *"]),
        timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
        active=st.booleans(),
    ),
    max_size=4,
    unique_by=lambda schedule: schedule.slug,
).map(tuple)
specs = st.builds(
    DeploymentSpec,
    key=st.sampled_from(["mission:1", "mission:2", "mission:3"]),
    flow_name=st.sampled_from(["a", "b", "c"]),
    name=st.just("mission"),
    entrypoint=st.just("flows.mission.mission_flow"),
    parameters=st.just({}),
    work_pool=st.just("desk"),
    schedules=schedules,
    tags=st.sampled_from([(), ("x",)]),
    paused=st.booleans(),
)
worlds = st.lists(specs, max_size=3, unique_by=(lambda spec: spec.key, lambda spec: spec.flow_name))


def deployed(spec: DeploymentSpec) -> Deployed:
    return Deployed(uuid4(), spec, {schedule.slug: uuid4() for schedule in spec.schedules})


@given(wanted=worlds)
def test_what_agrees_is_left_alone(wanted: list[DeploymentSpec]) -> None:
    assert plan(wanted, {spec.key: deployed(spec) for spec in wanted}) == []


@given(wanted=worlds, present=worlds)
def test_the_planned_changes_lead_from_one_to_the_other(
    wanted: list[DeploymentSpec], present: list[DeploymentSpec]
) -> None:
    have = {spec.key: deployed(spec) for spec in present}
    after = dict(have)
    changes = plan(wanted, have)
    for change in changes:
        match change:
            case Delete(deployment_id=gone):
                after = {key: each for key, each in after.items() if each.deployment_id != gone}
            case Create(spec):
                after[spec.key] = deployed(spec)
            case Update():
                kept = {
                    schedule.slug: schedule
                    for schedule in have[change.spec.key].spec.schedules
                    if have[change.spec.key].schedule_ids[schedule.slug] not in change.gone
                }
                kept |= {schedule.slug: schedule for schedule in change.schedules}
                fields = {name: getattr(change.spec, name) for name in change.fields}
                merged = replace(have[change.spec.key].spec, schedules=tuple(kept.values()), **fields)
                after[change.spec.key] = deployed(merged)
    assert {key: each.spec.hash for key, each in after.items()} == {spec.key: spec.hash for spec in wanted}
    assert all(str(change) for change in changes)


def tasks(*periods: str | None) -> dict[int, MissionTask]:
    return {
        number: MissionTask(id=number, name=f"t{number}", template="x", period=period)
        for number, period in enumerate(periods, 1)
    }


def test_without_any_period_a_mission_ticks_every_minute() -> None:
    steps = tasks(None, None)
    spec = mission_spec(Mission(id=1, name="m", task_ids=tuple(steps)), None, steps)
    assert spec.schedules == (ScheduleSpec("1min", "* * * * *", "UTC", True),)


def test_exactly_one_period_is_active_and_none_when_disabled() -> None:
    steps = tasks("4h", "1min", None, "60min")
    mission = Mission(id=1, name="m", task_ids=tuple(steps))
    active = [each.slug for each in mission_spec(mission, None, steps).schedules if each.active]
    assert active == ["4h"]
    disabled = mission.model_copy(update={"enabled": False})
    assert not any(each.active for each in mission_spec(disabled, None, steps).schedules)


def test_a_run_may_last_as_long_as_its_tasks_may_take() -> None:
    """Every try with its timeout and the delays between; components: a wait for their turn and their work."""
    members = [{"template": "component", "params": {"module": "m", "timeout_seconds": 3600}}]
    steps = {
        1: MissionTask(id=1, name="a", template="x", timeout_seconds=100, retries=3, retry_delay_seconds=50),
        2: MissionTask(id=2, name="b", template="component", params={"module": "m"}),
        3: MissionTask(id=3, name="c", template="all_of", params={"tasks": members}),
        4: MissionTask(id=4, name="d", template="x"),
    }
    quick = Mission(id=1, name="m", task_ids=(4,))
    assert mission_spec(quick, None, steps).job_variables == {}
    slow = quick.model_copy(update={"task_ids": (1, 4, 1, 2), "target_id": 3})
    longest = 2 * (4 * 100 + 3 * 50) + 2 * (120 + 15) + 2 * (3600 + 15)
    assert mission_spec(slow, None, steps).job_variables == {"timeout_seconds": 600 + longest}
    queued = slow.model_copy(update={"overlap": "queue", "max_lateness_seconds": 900})
    assert mission_spec(queued, None, steps).job_variables == {"timeout_seconds": 1500 + longest}
    assert mission_spec(slow, None, steps).hash != mission_spec(queued, None, steps).hash
