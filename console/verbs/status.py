"""`missiondesk status`: what runs and where."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from console.mission_lines import MissionLine, mission_lines
from missiondesk.desk_file import DeskFile, read_desk_file, running_desk
from missiondesk.settings import Settings
from missiondesk.store.administration import without_password
from missiondesk.store.database import connect
from models.errors import DatabaseUnreachable


def show_status(settings: Settings, *, as_json: bool) -> bool:
    """Whether a desk runs in the home."""
    desk = running_desk(settings.home)
    missions = _missions(desk) if desk is not None else []
    if as_json:
        click.echo(json.dumps(_as_json(settings, desk, missions), indent=2, default=str))
    elif desk is None:
        click.echo(
            f"no desk runs in {settings.home}: start one with `missiondesk up`{_left_behind(settings)}"
        )
    else:
        click.echo(_as_text(settings, desk, missions))
    return desk is not None


def _missions(desk: DeskFile) -> list[MissionLine]:
    if desk.prefect_api_url is None:  # still on its way up: its tables may not be there yet
        return []
    try:
        return mission_lines(connect(desk.database_url.get_secret_value()), datetime.now(UTC))
    except DatabaseUnreachable:
        return []


def _left_behind(settings: Settings) -> str:
    desk = read_desk_file(settings.home)
    pids = _pids(desk) if desk is not None else {}
    found = [f"{name} {pid}" for name, pid in pids.items() if name != "desk"]
    return f"\nit takes over or ends what a killed one left: {', '.join(found)}" if found else ""


def _pids(desk: DeskFile) -> dict[str, int]:
    pids = {"desk": desk.desk.pid}
    return pids | {name: part.pid for name, part in desk.parts.items() if part.process() is not None}


def _as_json(settings: Settings, desk: DeskFile | None, missions: list[MissionLine]) -> dict[str, Any]:
    return {
        "home": str(settings.home),
        "database_url": desk and desk.database_url.get_secret_value(),
        "prefect_api_url": desk and desk.prefect_api_url,
        "console_url": desk and desk.console_url,
        "exchange": desk and desk.exchange,
        "exchange_url": desk and desk.exchange_url,
        "api_token": desk and settings.api_token.get_secret_value(),
        "pids": _pids(desk) if desk is not None else {},
        "missions": [asdict(line) for line in missions],
    }


def _as_text(settings: Settings, desk: DeskFile, missions: list[MissionLine]) -> str:
    pids = _pids(desk)
    dead = sorted(desk.parts.keys() - pids.keys())
    enabled = sum(line.enabled for line in missions)
    lines = [
        ("home", str(settings.home)),
        ("since", f"{desk.started_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("database", without_password(desk.database_url.get_secret_value())),
        ("Prefect", desk.prefect_api_url or "not up yet"),
        ("exchange", " at ".join(filter(None, (desk.exchange, desk.exchange_url))) or "not chosen yet"),
        ("processes", ", ".join(f"{name} {pid}" for name, pid in pids.items())),
        *([("not running", ", ".join(dead))] if dead else []),
        ("Missions", f"{len(missions)}, {enabled} of them enabled"),
    ]
    return "\n".join(f"{name:<12} {text}" for name, text in lines)
