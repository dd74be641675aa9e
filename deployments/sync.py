"""Brings Prefect's deployments in line with the tables: the one way, whoever asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from sqlalchemy import Engine

from deployments import feeds
from deployments.apply import Applier, NotMade
from deployments.deployed import read_deployed
from deployments.market import MARKET_FLOWS, QUEUES
from deployments.missions import WORK_POOL, mission_key, mission_spec
from deployments.own_flows import OWN_FLOWS
from deployments.plan import Change, plan
from deployments.queues import keep_queues
from deployments.scheduled_flows import check_flow, scheduled_flow_key, scheduled_flow_spec
from deployments.spec import DeploymentSpec
from missiondesk.desk_file import settings_with_desk
from missiondesk.store.deployments import Deployments
from missiondesk.store.scheduled import disabled_missions, scheduled_missions
from missiondesk.store.scheduled_flows import scheduled_flows
from models.errors import InvalidRow


@dataclass(frozen=True)
class Synced:
    """The changes that were planned (and made, unless only a plan was asked for), those of them that could
    not be made, and rows left alone.
    """

    changes: tuple[Change, ...]
    invalid: tuple[InvalidRow, ...]
    not_made: tuple[NotMade, ...] = ()

    def __str__(self) -> str:
        lines = [str(change) for change in self.changes] or ["nothing to change"]
        lines += [f"! left as it is: {error}" for error in self.invalid]
        lines += [f"! could not be deployed: {each}" for each in self.not_made]
        return "\n".join(lines)


def sync(engine: Engine, *, plan_only: bool = False, mission_ids: Iterable[int] | None = None) -> Synced:
    """Compare the tables with what Prefect has, and change what differs; only these Missions if given.

    Blocking. Rows that are not valid keep the deployment they have, without an active schedule if the Mission
    is disabled. What Prefect does not take keeps nothing else from it. Prefect is the one of PREFECT_API_URL.
    """
    return asyncio.run(_sync(engine, plan_only, mission_ids))


async def _sync(engine: Engine, plan_only: bool, mission_ids: Iterable[int] | None) -> Synced:
    store = Deployments(engine)
    only = None if mission_ids is None else set(mission_ids)
    with store.only_writer():
        desired, invalid, kept, silent = _desired(engine, only)
        async with get_client() as client:
            keys = store.keys()
            wanted = None if only is None else {mission_key(mission_id) for mission_id in only}
            deployed = await read_deployed(client, desired, keys, only=wanted)
            desired += [deployed[key].spec.silenced() for key in silent if key in deployed]
            changes = plan(desired, {key: each for key, each in deployed.items() if key not in kept})
            not_made: list[NotMade] = []
            if not plan_only:
                if only is None:
                    await keep_queues(client, WORK_POOL, {**QUEUES, **feeds.QUEUES}, feeds.RUNS_AT_ONCE)
                applier = Applier(
                    client,
                    recorded=_recorder(store),
                    removed=store.forget,
                    parameter_schema=_parameter_schema,
                )
                not_made = await applier.apply(changes)
    return Synced(tuple(changes), invalid, tuple(not_made))


def _desired(
    engine: Engine, only: set[int] | None
) -> tuple[list[DeploymentSpec], tuple[InvalidRow, ...], set[str], set[str]]:
    """Specs of the valid rows and the errors of the others; the keys of those that keep what they have, and
    of those that are to be silent.
    """
    missions, invalid_missions = scheduled_missions(engine, only)
    specs = [mission_spec(each.mission, each.missionary, each.tasks) for each in missions]
    invalid = {mission_key(mission_id): error for mission_id, error in invalid_missions.items()}
    silent = {mission_key(mission_id) for mission_id in disabled_missions(engine, invalid_missions)}
    if only is None:
        specs += [*OWN_FLOWS, *MARKET_FLOWS, *feeds.feed_flows(settings_with_desk().feed_markets)]
        flows, invalid_flows = scheduled_flows(engine)
        invalid |= {scheduled_flow_key(name): error for name, error in invalid_flows.items()}
        for flow in flows:
            try:
                check_flow(flow)
                specs.append(scheduled_flow_spec(flow))
            except InvalidRow as error:
                invalid[scheduled_flow_key(flow.name)] = error
    return specs, tuple(invalid.values()), set(invalid) - silent, silent


def _recorder(store: Deployments) -> Callable[[DeploymentSpec, UUID], None]:
    def recorded(spec: DeploymentSpec, deployment_id: UUID) -> None:
        store.record(spec.key, spec.flow_name, spec.name, deployment_id, spec.hash, spec.as_json())

    return recorded


@cache
def _parameter_schema(entrypoint: str) -> dict[str, Any]:
    flow: Flow[..., Any] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    return parameter_schema(flow).model_dump_for_openapi()
