"""The build step that `prefect deploy --all` calls: it pushes every Mission's deployment."""

from __future__ import annotations

from typing import Any

from prefect.settings import get_current_settings

from deployments.sync import sync
from missiondesk.desk_file import read_desk_file
from missiondesk.settings import Settings
from missiondesk.store.database import connect
from models.errors import InputRefused


def sync_deployments() -> dict[str, Any]:
    """Sync the tables with the Prefect API in use; the output can be used as `{{ sync.changed }}`.

    Raises InputRefused when that API is not the running desk's: deploying into another one is never meant.
    """
    settings = Settings.load()
    _refuse_another_api(settings)
    synced = sync(connect(settings.database_url.get_secret_value()))
    print(synced)  # noqa: T201 the step's output belongs on the user's terminal
    return {"changed": len(synced.changes), "invalid": len(synced.invalid), "not_made": len(synced.not_made)}


def _refuse_another_api(settings: Settings) -> None:
    desk = read_desk_file(settings.home)
    if desk is None or desk.prefect_api_url is None:
        return
    in_use = get_current_settings().api.url
    if in_use != desk.prefect_api_url:
        raise InputRefused(
            f"prefect deploys into {in_use or 'a throw-away server of its own'}, "
            f"but this desk's Prefect is {desk.prefect_api_url}; paste:\n"
            f"  export PREFECT_API_URL={desk.prefect_api_url}"
        )
