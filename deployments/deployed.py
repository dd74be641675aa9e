"""Reads what Prefect has of ours, as specs that can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterTags,
    FlowFilter,
    FlowFilterId,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule

from deployments.plan import Deployed
from deployments.spec import OWNED_TAG, DeploymentSpec, ScheduleSpec

# The API's own page size.
PAGE = 200


async def read_deployed(
    client: PrefectClient,
    desired: Iterable[DeploymentSpec],
    keys: Mapping[UUID, str],
    *,
    only: Iterable[str] | None = None,
) -> dict[str, Deployed]:
    """Our deployments by key. `keys` are known ids; an id that is not among them is matched by its names.

    `only` limits the reading to these keys. A deployment of ours that nothing asks for gets a key of its own.
    """
    if only is None:
        found = await _pages(client, DeploymentFilter(tags=DeploymentFilterTags(all_=[OWNED_TAG])))
    else:
        wanted = set(only)
        ids = [id for id, key in keys.items() if key in wanted]
        found = await _pages(client, DeploymentFilter(id=DeploymentFilterId(any_=ids))) if ids else []
    flow_names = await _flow_names(client, {response.flow_id for response in found})
    by_names = {(spec.flow_name, spec.name): spec.key for spec in desired}
    deployed: dict[str, Deployed] = {}
    for response in found:
        names = (flow_names[response.flow_id], response.name)
        key = keys.get(response.id) or by_names.get(names) or f"stray:{response.id}"
        if key in deployed:
            key = f"stray:{response.id}"
        deployed[key] = _deployed(key, names[0], response)
    return deployed


async def _pages(client: PrefectClient, wanted: DeploymentFilter) -> list[DeploymentResponse]:
    found: list[DeploymentResponse] = []
    while True:
        page = await client.read_deployments(deployment_filter=wanted, limit=PAGE, offset=len(found))
        found += page
        if len(page) < PAGE:
            return found


async def _flow_names(client: PrefectClient, flow_ids: set[UUID]) -> dict[UUID, str]:
    ids = sorted(flow_ids)
    names: dict[UUID, str] = {}
    for start in range(0, len(ids), PAGE):
        chunk = FlowFilter(id=FlowFilterId(any_=ids[start : start + PAGE]))
        names |= {flow.id: flow.name for flow in await client.read_flows(flow_filter=chunk, limit=PAGE)}
    return names


def _deployed(key: str, flow_name: str, response: DeploymentResponse) -> Deployed:
    schedules: list[ScheduleSpec] = []
    ids: dict[str, UUID] = {}
    strays: list[UUID] = []
    for each in response.schedules:
        if each.slug and isinstance(each.schedule, CronSchedule):
            schedules.append(
                ScheduleSpec(each.slug, each.schedule.cron, each.schedule.timezone or "UTC", each.active)
            )
            ids[each.slug] = each.id
        else:
            strays.append(each.id)
    spec = DeploymentSpec(
        key=key,
        flow_name=flow_name,
        name=response.name,
        entrypoint=response.entrypoint or "",
        parameters=response.parameters,
        work_pool=response.work_pool_name or "",
        work_queue=response.work_queue_name or "",
        schedules=tuple(schedules),
        description=response.description or "",
        tags=tuple(response.tags),
        job_variables=response.job_variables,
        paused=response.paused,
    )
    return Deployed(response.id, spec, ids, tuple(strays))
