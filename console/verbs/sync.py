"""`missiondesk sync`: the Mission table's schedules, into Prefect."""

from __future__ import annotations

import os

import click

from console.desk.exchange_choice import answers
from console.verbs.database import open_database
from missiondesk.settings import Settings
from models.errors import InputRefused


def sync_deployments(settings: Settings, *, plan_only: bool) -> bool:
    """Whether every row of the table was valid and is deployed. Needs Prefect's server."""
    refuse_without_prefect(settings)
    from deployments.sync import sync

    synced = sync(open_database(settings), plan_only=plan_only)
    click.echo(str(synced))
    return not (synced.invalid or synced.not_made)


def refuse_without_prefect(settings: Settings) -> None:
    """Raises InputRefused when Prefect's server does not answer."""
    url = os.environ.get("PREFECT_API_URL")
    if url is None:
        raise InputRefused(
            f"no desk runs in {settings.home}, and PREFECT_API_URL is not set: "
            "start one with `missiondesk up`"
        )
    if not answers(f"{url}/health", seconds=5):
        raise InputRefused(f"Prefect's server at {url} does not answer: look at `missiondesk status`")
