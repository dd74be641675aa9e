"""The templates that a Task may name, with the JSON Schema of their params."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from console.api.inputs import Text
from console.api.refusals import documented
from missiondesk.templates.registry import Kind, TaskTemplate, all_templates, find, json_schema

router = APIRouter(prefix="/api/templates", tags=["Templates"])


class TemplateAnswer(BaseModel):
    name: str
    kind: Kind
    recorded: Annotated[bool, Field(description="Whether its tries appear in the ResultLog")]
    help: str
    params: Annotated[dict[str, Any], Field(description="JSON Schema")]


@router.get("")
def list_templates() -> list[TemplateAnswer]:
    """Every template by name, those of plug-ins included."""
    return [_answer(template) for template in all_templates()]


@router.get("/{name}", responses=documented(HTTPStatus.NOT_FOUND))
def read_template(name: Annotated[Text, Path()]) -> TemplateAnswer:
    return _answer(find(name))


def _answer(template: TaskTemplate) -> TemplateAnswer:
    return TemplateAnswer(
        name=template.name,
        kind=template.kind,
        recorded=template.recorded,
        help=template.help,
        params=json_schema(template.name),
    )
