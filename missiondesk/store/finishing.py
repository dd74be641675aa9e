"""How a Missionary that passed its Target ends, and which one follows it: one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from sqlalchemy import Connection, Engine, func, or_, select, update

from missiondesk.store.database import transaction
from missiondesk.store.lease import change_held, ended, held
from missiondesk.store.opening import open_ahead_of_tick
from models.errors import LeaseLost
from models.result import Result
from models.tables import mission, missionary


class Following(StrEnum):
    """What follows a finished Missionary."""

    AGAIN = "again"  # a fresh Missionary of the same Mission
    NEXT = "next"  # this Mission is disabled, and the next one enabled
    NOTHING = "nothing"  # this Mission is disabled
    DISABLED = "disabled"  # this Mission was disabled meanwhile; nothing else changed


@dataclass(frozen=True)
class FinishOutcome:
    following: Following
    next_mission: str | None = None

    @property
    def message(self) -> str:
        match self.following:
            case Following.AGAIN:
                return "finished; a fresh Missionary follows"
            case Following.NEXT:
                return f"finished; {self.next_mission} follows"
            case Following.NOTHING:
                return "finished; the Mission is disabled now"
            case Following.DISABLED:
                return "finished; the Mission was disabled meanwhile, nothing follows"
            case _:
                assert_never(self.following)


def finish(
    engine: Engine, missionary_id: int, holder: str, result_text: str, target_result: Result | None
) -> FinishOutcome:
    """See Walks.finish."""
    while True:
        with transaction(engine) as connection:
            mission_id = connection.scalar(
                select(missionary.c.mission_id).where(missionary.c.id == missionary_id)
            )
            locked = _lock_with_next(connection, mission_id)
            if mission_id not in locked:
                raise LeaseLost(f"missionary {missionary_id} is gone, with its Mission")
            next_id = locked[mission_id]["next_mission_id"]
            # Otherwise the Mission got another next one while we waited for the lock: start over.
            if next_id is None or next_id in locked:
                ending = held(missionary_id, holder).values(ended(result_text))
                change_held(connection, missionary_id, holder, ending, target_result)
                return _follow(connection, locked[mission_id], locked.get(next_id), f"flow run {holder}")


def _lock_with_next(connection: Connection, mission_id: int | None) -> dict[int, Mapping[str, Any]]:
    # In the order of ids, so that two Missions that are each other's next one never wait for each other.
    next_id = select(mission.c.next_mission_id).where(mission.c.id == mission_id).scalar_subquery()
    both = or_(mission.c.id == mission_id, mission.c.id == next_id)
    rows = connection.execute(select(mission).where(both).order_by(mission.c.id).with_for_update())
    return {row.id: row._asdict() for row in rows}


def _follow(
    connection: Connection, this: Mapping[str, Any], following: Mapping[str, Any] | None, actor: str
) -> FinishOutcome:
    if not this["enabled"]:
        return FinishOutcome(Following.DISABLED)
    if following is this or (following is None and this["repeat"]):
        open_ahead_of_tick(connection, this)
        return FinishOutcome(Following.AGAIN)
    connection.execute(
        select(
            func.set_config("missiondesk.actor", actor, True),
            func.set_config("missiondesk.keep_missionary", "on", True),
        )
    )
    connection.execute(update(mission).where(mission.c.id == this["id"]).values(enabled=False))
    if following is None:
        return FinishOutcome(Following.NOTHING)
    connection.execute(update(mission).where(mission.c.id == following["id"]).values(enabled=True))
    open_ahead_of_tick(connection, following)
    return FinishOutcome(Following.NEXT, following["name"])
