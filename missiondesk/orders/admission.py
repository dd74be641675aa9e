"""May a new order go out at all: kill switch, armed account, enabled Mission. Pure, fails closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models.account import Account
from models.order import LeafKey, TradeRequest


@dataclass(frozen=True)
class DeskState:
    """The desk row: this installation's id, and the kill switch."""

    installation: UUID
    halted: bool
    halt_reduce_only: bool

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> DeskState:
        return cls(row["installation"], row["halted"], row["halt_reduce_only"])


@dataclass(frozen=True)
class MissionState:
    """What a request's Mission and Missionary allow. `leased`: this tick holds the Missionary's lease."""

    enabled: bool
    open: bool
    leased: bool

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> MissionState:
        return cls(row["enabled"], row["open"], row["leased"])


@dataclass(frozen=True)
class Standing:
    """What decides whether a request may send at all. `desk` None: no row; `mission` None: gone."""

    account: Account
    desk: DeskState | None
    mission: MissionState | None


def halted(desk: DeskState | None, *, reduces: bool) -> str | None:
    """Why the kill switch stops an order, for a person; None when it does not."""
    if desk is None:
        return "the desk row can't be read, so the kill switch counts as on; run: missiondesk doctor"
    if desk.halted and not desk.halt_reduce_only:
        return "the desk is halted; lift it with: missiondesk resume"
    if desk.halted and not reduces:
        return "the desk is halted but for orders that reduce a position; lift it with: missiondesk resume"
    return None


def refusal(request: TradeRequest, standing: Standing, *, reduces: bool) -> str | None:
    """Why no new order may be sent for the request, for a person; None when one may.

    `reduces`: it only makes a holding smaller.
    """
    account, desk, mission = standing.account, standing.desk, standing.mission
    if (reason := halted(desk, reduces=reduces)) is not None:
        return reason
    if request.mode == "live" and not account.armed:
        name = account.name
        return f"account {name} is not armed for live orders; arm it with: missiondesk arm {name}"
    if account.exchange and account.exchange != request.exchange:
        return f"account {account.name} trades at {account.exchange}, not at {request.exchange}"
    if not isinstance(request.key, LeafKey):
        return None
    if mission is None:
        return f"mission {request.mission_id} or its missionary {request.key.missionary_id} no longer exists"
    if not mission.enabled:
        return f"mission {request.mission_id} is disabled: no new orders"
    if not mission.open:
        return f"missionary {request.key.missionary_id} has ended: no new orders"
    return None
