"""Starts runs in Prefect. Prefect is imported when the first run is asked for: the API starts without it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from sqlalchemy import Engine

from deployments.missions import mission_key
from missiondesk.store.deployments import Deployments
from models.errors import InputRefused, RetryLater
from models.mission import Mission

# The listener makes the deployment of a new Mission within two seconds.
DEPLOYED_WITHIN_SECONDS = 5.0
_LOOK_SECONDS = 0.1


class PrefectUnreachable(RetryLater):
    """Prefect's server does not answer, or no desk runs that could have one."""


@dataclass(frozen=True)
class Started:
    flow_run_id: UUID
    url: str


def start_tick(engine: Engine, mission: Mission) -> Started:
    """Ask Prefect for an ad-hoc run of the Mission's deployment.

    Raises PrefectUnreachable, and InputRefused when Prefect has no deployment of the Mission.
    """
    with asking_prefect():
        deployment_id = _wait_for_deployment(Deployments(engine), mission)
        import httpx
        from prefect.client.orchestration import get_client
        from prefect.utilities.urls import url_for

        try:
            with get_client(sync_client=True) as client:
                flow_run = client.create_flow_run_from_deployment(deployment_id)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == HTTPStatus.NOT_FOUND:
                raise _not_deployed(mission) from None
            raise
        return Started(flow_run.id, url_for(flow_run) or "")


@contextmanager
def asking_prefect() -> Iterator[None]:
    """Raises PrefectUnreachable when there is no desk to be asked, or its Prefect server gives no answer."""
    if not os.environ.get("PREFECT_API_URL"):
        raise PrefectUnreachable("no desk runs that could do this: start one with `missiondesk up`")
    import httpx

    try:
        yield
    except httpx.HTTPError as error:
        raise PrefectUnreachable(f"Prefect's server does not answer as it should: {error}") from error


def _wait_for_deployment(deployments: Deployments, mission: Mission) -> UUID:
    deadline = time.monotonic() + DEPLOYED_WITHIN_SECONDS
    while (deployment_id := deployments.find(mission_key(mission.id))) is None:
        if time.monotonic() > deadline:
            raise _not_deployed(mission)
        time.sleep(_LOOK_SECONDS)
    return deployment_id


def _not_deployed(mission: Mission) -> InputRefused:
    return InputRefused(
        f"Prefect has no deployment of the Mission {mission.name!r}: `missiondesk sync` makes it, "
        "and says what is in the way"
    )
