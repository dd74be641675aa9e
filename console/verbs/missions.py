"""The commands about Missions: list, run, log, restart."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from rich.console import Console

from console.mission_lines import mission_lines, mission_table
from console.restarting import restart
from console.verbs.database import open_database
from console.verbs.sync import refuse_without_prefect
from missiondesk.settings import Settings
from missiondesk.store.results import Results


def list_missions(settings: Settings) -> None:
    now = datetime.now(UTC)
    lines = mission_lines(open_database(settings), now)
    if lines:
        Console().print(mission_table(lines, now))
    else:
        click.echo("there are no Missions yet")


def run_one_tick(settings: Settings, name: str) -> bool:
    """False when the run failed. Needs Prefect's server, where the run is recorded."""
    open_database(settings)
    refuse_without_prefect(settings)
    from flows.mission import run_mission

    outcome = run_mission(name)
    click.echo(str(outcome))
    return outcome.ending != "Failed"


def restart_mission(settings: Settings, name: str) -> bool:
    """Whether nothing of the ended walk rests any more."""
    open_database(settings)
    restarted = restart(settings, name)
    if restarted.opened is not None:
        click.echo(f"{name} begins a fresh walk")
    else:
        click.echo(f"the present walk of {name} is ended; its next tick begins a fresh one, if it is enabled")
    for order in restarted.left:
        click.echo(f"  may still rest: {order}", err=True)
    if restarted.left:
        click.echo(
            "cancel these at the exchange, or try `missiondesk halt`, which stops all trading", err=True
        )
    return not restarted.left


def show_log(settings: Settings, name: str, lines: int) -> None:
    page = Results(open_database(settings)).page(name, lines)
    for logged in reversed(page):
        result = logged.result
        place = "target" if result.task_index is None else f"step {result.task_index + 1}"
        click.echo(f"{result.logged_at:%Y-%m-%d %H:%M:%S}  {place:<8} {result.task_name}: {result}")
    if not page:
        click.echo(f"{name} has logged nothing yet")
