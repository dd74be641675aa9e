"""`/workflow/…` and `/scheduler/…`: workflows are Missions, and their schedules are Prefect's."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from console.hub.answers import EnvelopeRoute, done, json_object
from console.hub.services import HubServices
from missiondesk.components.workflows import NewWorkflow, Workflow, WorkflowDisabled

log = logging.getLogger(__name__)

router = APIRouter(tags=["workflows"], route_class=EnvelopeRoute)

Body = Annotated[dict[str, Any], Depends(json_object)]


@router.post("/workflow/create")
def create(services: HubServices, body: Body) -> dict[str, Any]:
    """Make a workflow of several modules; it is scheduled at once."""
    made = services.workflows.create(NewWorkflow.parse(body), datetime.now(UTC))
    services.scheduler.schedule_soon(made.mission_id)
    return done({"id": made.mission_id, "workflow_id": made.workflow_id, "name": made.name})


@router.post("/workflow/{reference}/execute")
def execute(services: HubServices, reference: str) -> dict[str, Any]:
    """Start one run of a workflow now; `reference` is its id or its workflow_id."""
    found = services.workflows.find(reference)
    if not found.enabled:
        raise WorkflowDisabled(f"workflow {found.name!r} is not enabled, so nothing would run")
    services.scheduler.run_now(found.mission_id, found.name)
    return done(
        {"workflow_id": found.workflow_id, "workflow_name": found.name, "message": "工作流执行已启动"}
    )


@router.get("/workflow/list")
def list_workflows(services: HubServices) -> dict[str, Any]:
    """All workflows."""
    return done([_row(each) for each in services.workflows.all()])


@router.get("/scheduler/jobs")
def jobs(services: HubServices) -> dict[str, Any]:
    """Every active schedule that Prefect has of this desk, and the workflow it is of."""
    workflows = {each.mission_id: each for each in services.workflows.all()}
    rows = []
    for job in services.scheduler.jobs(datetime.now(UTC)):
        found = workflows.get(job.mission_id) if job.mission_id is not None else None
        rows.append({**job.as_json(), "workflow": _row(found) if found else None})
    return done(rows)


@router.post("/scheduler/reload")
def reload(services: HubServices) -> dict[str, Any]:
    """Bring Prefect's schedules in line with the tables again."""
    changed = services.workflows.refresh_dated(datetime.now(UTC))
    reloaded = services.scheduler.reload(datetime.now(UTC))
    enabled = [each.name for each in services.workflows.all() if each.enabled]
    return done(
        {
            "removed_count": reloaded.removed,
            "current_count": reloaded.current,
            "enabled_workflows": len(enabled),
            "message": f"{reloaded.changes} change(s) made, {len(changed)} dated crontab(s) renewed",
        }
    )


def _row(found: Workflow) -> dict[str, Any]:
    return {
        "id": found.mission_id,
        "workflow_id": found.workflow_id,
        "name": found.name,
        "description": found.description,
        "enable": found.enabled,
        "execute_cron_list": found.cron_lines,
        "execute_shift_time": found.shift_time,
        "execute_shift_unit": found.shift_unit,
        "execute_modules": found.modules,
        "timezone": found.timezone,
        "stop_on_fail": found.stop_on_fail,
        "crontab": found.crontab,
        "problem": found.problem,
        "create_time": found.created_at.isoformat(),
    }
