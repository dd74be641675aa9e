"""Conditions: the named booleans that Missions share as locks."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict

from console.api.inputs import Text
from console.api.mission_values import Done
from console.api.refusals import documented
from console.api.stores import DeskStores
from models.errors import UnknownName

router = APIRouter(prefix="/api/conditions", tags=["Conditions"])
_REFUSED = documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)

ConditionName = Annotated[Text, Path(min_length=1, max_length=200)]


class ConditionValue(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    valid: bool


class ConditionAnswer(BaseModel):
    name: str
    valid: bool


@router.get("")
def list_conditions(stores: DeskStores) -> list[ConditionAnswer]:
    return [ConditionAnswer(name=name, valid=valid) for name, valid in stores.conditions.all().items()]


@router.get("/{name:path}", responses=documented(HTTPStatus.NOT_FOUND))
def read_condition(name: ConditionName, stores: DeskStores) -> ConditionAnswer:
    """Unlike a guard that names it, this makes no Condition that does not exist."""
    conditions = stores.conditions.all()
    if name not in conditions:
        raise UnknownName("condition", name, conditions)
    return ConditionAnswer(name=name, valid=conditions[name])


@router.put("/{name:path}", responses=documented(HTTPStatus.CONFLICT))
def set_condition(name: ConditionName, value: ConditionValue, stores: DeskStores) -> ConditionAnswer:
    """Create or change it. The two built-in ones never change."""
    stores.conditions.write(name, value.valid)
    return ConditionAnswer(name=name, valid=value.valid)


@router.delete("/{name:path}", responses=_REFUSED)
def delete_condition(name: ConditionName, stores: DeskStores) -> Done:
    """A guard that still names it makes it anew, as false."""
    stores.conditions.delete(name)
    return Done(message=f"the Condition {name} is deleted")
