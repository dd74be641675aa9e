"""How each flow run is to be run, as its deployment says it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError

from deployments.prefork.configuration import PreforkJobConfiguration
from models.validation import problems_of

SECONDS_REMEMBERED = 60.0
READ_AT_ONCE = 8
SET_DIRECTORY = "prefect.deployments.steps.set_working_directory"


@dataclass(frozen=True)
class Plan:
    """Where the flow is found and what holds for its run."""

    entrypoint: str
    directory: str | None
    configuration: PreforkJobConfiguration


@dataclass(frozen=True)
class Refusal:
    """Why a run can't be run here as its deployment stands."""

    problem: str


class Plans:
    """Reads each deployment at most once in SECONDS_REMEMBERED; that long a change may go unnoticed."""

    def __init__(self, client: PrefectClient, base_job_template: Callable[[], Mapping[str, Any]]) -> None:
        self._client = client
        self._base_job_template = base_job_template
        self._remembered: dict[UUID, tuple[float, DeploymentResponse, Plan | Refusal]] = {}
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def of(self, flow_run: FlowRun) -> Plan | Refusal:
        """Raises httpx errors when the API can't be asked."""
        if flow_run.deployment_id is None:
            return Refusal("expected a run of a deployment, as the flow is found through it, got none")
        async with self._reading:
            try:
                deployment, plan = await self._of_deployment(flow_run.deployment_id)
            except ObjectNotFound:
                return Refusal(f"its deployment {flow_run.deployment_id} no longer exists")
            if flow_run.job_variables:
                return await self._make(deployment, flow_run.job_variables)
            return plan

    async def _of_deployment(self, deployment_id: UUID) -> tuple[DeploymentResponse, Plan | Refusal]:
        now = time.monotonic()
        known = self._remembered.get(deployment_id)
        if known is not None and now - known[0] < SECONDS_REMEMBERED:
            return known[1], known[2]
        self._remembered.pop(deployment_id, None)
        deployment = await self._client.read_deployment(deployment_id)
        plan = await self._make(deployment, {})
        self._remembered[deployment_id] = (now, deployment, plan)
        return deployment, plan

    async def _make(self, deployment: DeploymentResponse, own: Mapping[str, Any]) -> Plan | Refusal:
        try:
            configuration = await PreforkJobConfiguration.from_template_and_values(
                base_job_template=dict(self._base_job_template()),
                values={**deployment.job_variables, **own},
                client=self._client,
            )
            entrypoint, directory = flow_location(deployment)
        except ValidationError as error:
            problems = "; ".join(f"{name}: {problem}" for name, problem in problems_of(error))
            return Refusal(f"the job variables of deployment {deployment.name!r} are not valid: {problems}")
        except httpx.HTTPError:
            raise
        except Exception as error:
            # Whatever is wrong with one deployment must not keep the others from running.
            return Refusal(f"deployment {deployment.name!r}: {type(error).__name__}: {error}")
        return Plan(entrypoint, directory, configuration)


def flow_location(deployment: DeploymentResponse) -> tuple[str, str | None]:
    """The entrypoint for a process whose modules are importable already, and the run's working directory.

    Raises ValueError for code that would have to be fetched first: a warm child runs what is installed.
    """
    if not deployment.entrypoint:
        raise ValueError("expected an entrypoint such as package.module.flow_function, got none")
    directory = None
    for step in deployment.pull_steps or []:
        (name, options), *more = step.items()
        if name != SET_DIRECTORY or more:
            raise ValueError(
                f"expected no pull step but {SET_DIRECTORY}, as nothing is fetched, got {name!r}"
            )
        directory = str(options["directory"])
    if ":" not in deployment.entrypoint:
        return deployment.entrypoint, directory
    file, function = deployment.entrypoint.rsplit(":", 1)
    directory = directory or deployment.path
    return f"{Path(directory or '.', file)}:{function}", directory
