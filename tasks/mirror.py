"""Mirrors a tick into what the Prefect UI shows: run name, tags, labels, and the walk's two artifacts."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from prefect.artifacts import create_progress_artifact, create_table_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from missiondesk.store.beginning import TickStart
from missiondesk.ticks.outcome import TickOutcome
from missiondesk.ticks.tick import Run


def name_run(client: SyncPrefectClient, flow_run: FlowRun, run: Run, start: TickStart) -> None:
    """Name and tag the run with Mission, Missionary, scheduled time and where the walk stands."""
    mission, missionary = start.mission, start.missionary
    assert missionary is not None
    scheduled = run.scheduled_at.astimezone(UTC)
    tags = {
        f"mission:{mission.name}",
        f"missionary:{missionary.id}",
        f"index:{missionary.next_index}",
        f"period:{missionary.period}",
        f"mode:{missionary.mode}",
    }
    client.update_flow_run(
        flow_run.id,
        name=f"{mission.name} · {missionary.id} · {scheduled:%Y-%m-%d %H:%M:%S}Z",
        tags=sorted(tags | set(flow_run.tags)),
    )


def label_run(client: SyncPrefectClient, flow_run: FlowRun, outcome: TickOutcome) -> None:
    """Labels say where the walk stands after the tick. Flat scalars only: the API does not check them."""
    labels: dict[str, Any] = {
        "mission": outcome.mission,
        "missionary": outcome.missionary_id,
        "index": outcome.next_index,
        "period": outcome.period,
        "mode": outcome.mode,
        "outcome": outcome.ending,
    }
    present = {f"missiondesk.{name}": value for name, value in labels.items() if value is not None}
    client.update_flow_run_labels(flow_run.id, present)


def show_walk(outcome: TickOutcome, start: TickStart) -> None:
    """The progress and the table artifact of a walk, under keys that stay the same from tick to tick."""
    key = f"mission-{outcome.mission_id}"
    done = outcome.ending == "Finished"
    steps = max(outcome.steps, 1)
    create_progress_artifact(
        progress=100.0 if done else 100.0 * min(outcome.next_index, steps) / steps,
        key=f"{key}-progress",
        description=f"{outcome.mission}: step {outcome.progress}; {outcome.ending}: {outcome.message}",
    )
    create_table_artifact(
        table=_rows(outcome, start),
        key=f"{key}-walk",
        description=f"{outcome.mission}, Missionary {outcome.missionary_id}: "
        f"{outcome.ending}: {outcome.message}",
    )


def _rows(outcome: TickOutcome, start: TickStart) -> list[dict[str, Any]]:
    missionary = start.missionary
    assert missionary is not None
    steps = [(str(index), task_id) for index, task_id in enumerate(missionary.task_ids)]
    if missionary.target_id is not None:
        steps.append(("target", missionary.target_id))
    rows = []
    for place, (step, task_id) in enumerate(steps):
        task = start.tasks[task_id]
        if outcome.ending == "Finished" or place < outcome.next_index:
            state = "passed"
        elif place == outcome.next_index:
            state = f"{outcome.ending}: {outcome.message}"
        else:
            state = ""
        period = str(task.period) if task.period else ""
        rows.append(
            {"step": step, "task": task.name, "template": task.template, "period": period, "state": state}
        )
    return rows
