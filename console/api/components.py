"""Lists of components, of their workflows and of what they were asked to do; newest first, page by page."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from console.api.inputs import Id, Text, row_key
from console.api.refusals import documented
from console.api.results import LARGEST_PAGE
from console.api.stores import DeskStores
from missiondesk.components.executions import Execution, Executions
from missiondesk.components.registry import Registry
from missiondesk.components.workflows import Workflow, Workflows
from models.component import CommandStatus

router = APIRouter(prefix="/api", tags=["Components"])

Size = Annotated[int, Query(ge=1, le=LARGEST_PAGE)]
Before = Annotated[Id | None, Query(description="Only those with a smaller id")]
Next = Annotated[int | None, Field(description="Ask for the next page with this; null at the end")]


class ComponentAnswer(BaseModel):
    """A component, and its connection while it has one."""

    model_config = ConfigDict(from_attributes=True)

    component_id: int
    hash: str
    name: str
    description: str
    priority: int
    online: bool
    session_id: UUID | None
    last_execution_at: datetime | None
    last_seen_at: datetime | None
    last_login_at: datetime | None


class ComponentPage(BaseModel):
    components: list[ComponentAnswer]
    before: Next


class WorkflowPage(BaseModel):
    workflows: list[Workflow]
    before: Next


class ExecutionPage(BaseModel):
    executions: list[Execution]
    before: Next


@router.get("/components")
def read_components(stores: DeskStores, size: Size = 100, before: Before = None) -> ComponentPage:
    """Everyone registered, offline ones too."""
    page = Registry(stores.engine).page(size, before=before)
    found = [ComponentAnswer.model_validate(each) for each in page]
    return ComponentPage(components=found, before=found[-1].component_id if len(found) == size else None)


@router.get("/workflows")
def read_workflows(stores: DeskStores, size: Size = 100, before: Before = None) -> WorkflowPage:
    found = Workflows(stores.engine).page(size, before=before)
    return WorkflowPage(workflows=found, before=found[-1].mission_id if len(found) == size else None)


@router.get("/executions", responses=documented(HTTPStatus.NOT_FOUND))
def read_executions(
    stores: DeskStores,
    component: Annotated[Text | None, Query(description="Hash, name or id")] = None,
    workflow_id: Text | None = None,
    status: CommandStatus | None = None,
    size: Size = 100,
    before: Before = None,
) -> ExecutionPage:
    """Commands that asked for a report. Pages stay put while new ones come in."""
    found = Executions(stores.engine).page(
        size,
        before=before,
        component=None if component is None else row_key(component),
        workflow_id=workflow_id,
        status=status,
    )
    return ExecutionPage(executions=found, before=found[-1].id if len(found) == size else None)
