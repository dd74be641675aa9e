"""Missions: list, read, create, change, enable, disable, run, restart, delete."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter

from console.api.inputs import MissionKey, row_key
from console.api.mission_values import (
    AvailablePair,
    Done,
    MissionAnswer,
    MissionaryAnswer,
    MissionChange,
    MissionName,
    NewMission,
    Progress,
    RestartedMission,
    StartedRun,
)
from console.api.refusals import documented, problems_of_row
from console.api.runs import start_tick
from console.api.stores import DeskStores, Stores
from console.restarting import restart
from missiondesk.store.missions import find_mission_row
from missiondesk.store.overview import mission_overview
from models.errors import InputRefused, InvalidRow
from models.mission import Mission
from models.missionary import Missionary

router = APIRouter(prefix="/api", tags=["Missions"])
_UNKNOWN = documented(HTTPStatus.NOT_FOUND)
_REFUSED = documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


@router.get("/missions")
def list_missions(stores: DeskStores) -> list[MissionAnswer]:
    """Every Mission by name, those that are not valid included."""
    progress = _progress(stores)
    return [_answer(row, progress.get(row["id"])) for row in stores.missions.rows()]


@router.post("/missions", status_code=HTTPStatus.CREATED, responses=documented(HTTPStatus.CONFLICT))
def create_mission(fields: NewMission, stores: DeskStores) -> MissionAnswer:
    """Its schedule stands in Prefect within two seconds while a desk is up."""
    return _read(stores, stores.missions.create(fields).id)


@router.get("/missions/{mission}", responses=_UNKNOWN)
def read_mission(mission: MissionKey, stores: DeskStores) -> MissionAnswer:
    return _read(stores, row_key(mission))


@router.patch("/missions/{mission}", responses=_REFUSED)
def change_mission(mission: MissionKey, fields: MissionChange, stores: DeskStores) -> MissionAnswer:
    """The open Missionary keeps the list, mode and account it began with, until a restart."""
    present = _row(stores, row_key(mission))
    return _read(stores, stores.missions.save({**fields, "id": present["id"]}).id)


@router.delete("/missions/{mission}", responses=_REFUSED)
def delete_mission(mission: MissionKey, stores: DeskStores) -> Done:
    """Its results and orders stay on record."""
    stores.missions.delete(row_key(mission))
    return Done(message=f"the Mission {mission} is deleted")


@router.post("/missions/{mission}/enable", responses=_REFUSED)
def enable_mission(mission: MissionKey, stores: DeskStores) -> MissionAnswer:
    """It gets a fresh Missionary, unless its old one has traded: then that one goes on."""
    stores.missions.enable(row_key(mission))
    return _read(stores, row_key(mission))


@router.post("/missions/{mission}/disable", responses=_REFUSED)
def disable_mission(mission: MissionKey, stores: DeskStores) -> MissionAnswer:
    """No tick of it begins any more, and the order gateway refuses its new orders."""
    stores.missions.disable(row_key(mission))
    return _read(stores, row_key(mission))


@router.post("/missions/{mission}/restart", responses=_REFUSED)
def restart_mission(mission: MissionKey, stores: DeskStores) -> RestartedMission:
    """Its Missionary ends as `restarted`, its resting orders are cancelled; a fresh one walks the present
    list.
    """
    left = restart(stores.settings, row_key(mission)).left
    return RestartedMission(**dict(_read(stores, row_key(mission))), orders_left=list(left))


@router.post(
    "/missions/{mission}/run",
    status_code=HTTPStatus.ACCEPTED,
    responses=_REFUSED | documented(HTTPStatus.SERVICE_UNAVAILABLE),
)
def run_mission(mission: MissionKey, stores: DeskStores) -> StartedRun:
    """One tick now, by the desk's worker. A disabled Mission is not run, and nothing changes."""
    found = Mission.from_row(_row(stores, row_key(mission)))
    if not found.enabled:
        raise InputRefused(f"the Mission {found.name!r} is disabled: nothing was run; enable it first")
    started = start_tick(stores.engine, found)
    return StartedRun(
        message=f"a run of {found.name} is started",
        mission=found.name,
        flow_run_id=str(started.flow_run_id),
        flow_run_url=started.url,
    )


@router.get("/available/missions")
def available_missions(stores: DeskStores) -> list[int]:
    """The ids of the enabled Missions."""
    return list(stores.missions.available_ids())


@router.get("/available/pairs")
def available_pairs(stores: DeskStores) -> list[AvailablePair]:
    """Each enabled Mission that has an open Missionary, with it."""
    return [
        AvailablePair(
            mission=MissionName(id=mission.id, name=mission.name), missionary=_missionary(missionary)
        )
        for mission, missionary in stores.missions.available_pairs()
    ]


def _row(stores: Stores, key: str | int) -> Mapping[str, Any]:
    with stores.engine.connect() as connection:
        return find_mission_row(connection, key)


def _read(stores: Stores, key: str | int) -> MissionAnswer:
    row = _row(stores, key)
    return _answer(row, _progress(stores, row["id"]).get(row["id"]))


def _progress(stores: Stores, mission_id: int | None = None) -> dict[int, Progress]:
    """By id: of this Mission, or of all."""
    found = mission_overview(stores.engine, mission_id)
    return {each.id: Progress.model_validate(each) for each in found}


def _answer(row: Mapping[str, Any], progress: Progress | None) -> MissionAnswer:
    try:
        Mission.from_row(row)
    except InvalidRow as error:
        problems = problems_of_row(error)
    else:
        problems = []
    return MissionAnswer(**row, problems=problems, progress=progress)


def _missionary(missionary: Missionary) -> MissionaryAnswer:
    return MissionaryAnswer.model_validate({**missionary.model_dump(), "period": str(missionary.period)})
