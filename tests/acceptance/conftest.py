"""Desks for the tests that need a whole one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.running_desk import RunningDesk
from tests.ports import free_port

NewDesk = Callable[[], RunningDesk]


@pytest.fixture(scope="module")
def new_desk() -> Iterator[NewDesk]:
    """Makes desks that are not started yet, each with a home and a port of its own; all are cleaned up."""
    with ExitStack() as cleaning:

        def make() -> RunningDesk:
            folder = Path(tempfile.mkdtemp(prefix="desk-"))
            cleaning.callback(shutil.rmtree, folder, ignore_errors=True)
            desk = RunningDesk(folder / "home", free_port())
            cleaning.callback(desk.clean_up)
            return desk

        yield make
