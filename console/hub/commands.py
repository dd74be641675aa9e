"""`missiondesk components …`: who is registered and online, what is scheduled, and adding a workflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from sqlalchemy import Engine


@click.group()
def components() -> None:
    """Components and their workflows."""


@components.command()
@click.option("--all", "everyone", is_flag=True, help="Those that are offline too.")
def online(everyone: bool) -> None:
    """List the components that are connected."""
    from missiondesk.components.registry import Registry

    registry = Registry(_engine())
    found = registry.all() if everyone else registry.online()
    for each in found:
        state = "online " if each.online else "offline"
        seen = f"{each.last_seen_at:%Y-%m-%d %H:%M:%S}Z" if each.last_seen_at else "never"
        click.echo(f"{each.component_id:>6}  {state}  seen {seen:<20}  {each.name}  {each.hash}")
    if not found:
        click.echo("no component is registered" if everyone else "no component is online")


@components.command()
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3650), help="Not seen for.")
def expire(days: int) -> None:
    """Forget components that were not seen for a long time."""
    from missiondesk.components.registry import Registry

    names = Registry(_engine()).expire(timedelta(days=days))
    click.echo(f"{len(names)} component(s) forgotten{': ' if names else ''}{', '.join(names)}")


@components.command()
def jobs() -> None:
    """List the schedules that Prefect has of this desk."""
    from console.hub.scheduler import Scheduler

    for job in Scheduler(_engine()).jobs(datetime.now(UTC)):
        click.echo(f"{job.next_run_time}  {job.trigger:<40}  {job.name}")


@components.command()
@click.argument("file", type=click.File(encoding="utf-8"))
def add(file: TextIO) -> None:
    """Add a workflow from a JSON file with the fields of /workflow/create; - reads from stdin."""
    from console.hub.scheduler import Scheduler
    from missiondesk.components.texts import parse_json
    from missiondesk.components.workflows import NewWorkflow, Workflows
    from models.errors import InputRefused

    given = parse_json(file.read())
    if not isinstance(given, dict):
        raise InputRefused(f"expected a JSON object, got {type(given).__name__}")
    engine = _engine()
    made = Workflows(engine, "command line").create(NewWorkflow.parse(given), datetime.now(UTC))
    Scheduler(engine).schedule_soon(made.mission_id)
    click.echo(f"workflow {made.name} is Mission {made.mission_id}, workflow_id {made.workflow_id}")


def _engine() -> Engine:
    from missiondesk.desk_file import join_desk
    from missiondesk.store.database import connect

    return connect(join_desk().database_url.get_secret_value())
