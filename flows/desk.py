"""The desk that every flow of this process uses, and the Prefect that a run from a notebook reports to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.exchange_account import credentials_of
from missiondesk.desk import Desk
from missiondesk.desk_file import running_desk, settings_with_desk
from missiondesk.settings import Settings


@cache
def desk_of_this_process() -> Desk:
    """What the environment does not say, a desk that runs in the home says."""
    return Desk(settings_with_desk(), credentials_of)


@contextmanager
def desk_api(settings: Settings) -> Iterator[None]:
    """The running desk's API, unless PREFECT_API_URL is set; without either Prefect's own way applies."""
    desk = running_desk(settings.home)
    if "PREFECT_API_URL" in os.environ or desk is None or desk.prefect_api_url is None:
        yield
        return
    with temporary_settings({PREFECT_API_URL: desk.prefect_api_url}):
        yield
