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
from models.result import Result


class RunMirror:
    """One tick's run in the Prefect UI. Two calls: name and tags once the tick has started, labels at its
    end. The tags are sent again where the walk then stands elsewhere, the artifacts when something changed.
    """

    def __init__(self, client: SyncPrefectClient, flow_run: FlowRun, run: Run) -> None:
        self._client, self._flow_run, self._run = client, flow_run, run
        self._start: TickStart | None = None
        self._shown: dict[str, Any] = {}

    def started(self, start: TickStart) -> None:
        self._start = start
        self._name(_standing_before(start))

    def ended(self, outcome: TickOutcome) -> None:
        """A tick that never started gets its name and tags here."""
        standing = self._shown | _standing_after(outcome)
        if standing != self._shown:
            self._name(standing)
        # Flat scalars only: the API does not check them.
        labels = {f"missiondesk.{name}": value for name, value in standing.items()}
        self._client.update_flow_run_labels(
            self._flow_run.id, {**labels, "missiondesk.outcome": outcome.ending}
        )
        if self._start is not None and outcome.changed:
            _show_walk(outcome, self._start)

    def _name(self, standing: dict[str, Any]) -> None:
        self._shown = standing
        scheduled = f"{self._run.scheduled_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
        parts = [standing[name] for name in ("mission", "missionary") if name in standing]
        self._client.update_flow_run(
            self._flow_run.id,
            name=" · ".join(map(str, [*parts, scheduled])),
            tags=sorted({f"{name}:{value}" for name, value in standing.items()} | set(self._flow_run.tags)),
        )


def _standing_before(start: TickStart) -> dict[str, Any]:
    mission, missionary = start.mission, start.missionary
    assert missionary is not None
    return {
        "mission": mission.name,
        "missionary": missionary.id,
        "index": missionary.next_index,
        "period": str(missionary.period),
        "mode": missionary.mode,
    }


def _standing_after(outcome: TickOutcome) -> dict[str, Any]:
    """Only what is known: of a tick that failed before its rows were read, the Mission's name."""
    standing: dict[str, Any] = {"mission": outcome.mission}
    if outcome.mission_id is not None:
        standing["mode"] = outcome.mode
    if outcome.missionary_id is not None:
        standing["missionary"] = outcome.missionary_id
        standing["index"] = outcome.next_index
        standing["period"] = outcome.period
    return standing


def _show_walk(outcome: TickOutcome, start: TickStart) -> None:
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
    answered = {"target" if each.role == "target" else str(each.task_index): each for each in outcome.results}
    rows = []
    for place, (step, task_id) in enumerate(steps):
        task = start.tasks[task_id]
        if start.mission.walk == "whole":
            state = _answer(answered.get(step))
        elif outcome.ending == "Finished" or place < outcome.next_index:
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


def _answer(result: Result | None) -> str:
    """A step of a whole walk; empty where it was left out, or where its template records nothing."""
    if result is None:
        return ""
    return "passed" if result.passed else f"not passed: {result.rule} {result.msg}".rstrip()
