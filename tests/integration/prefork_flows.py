"""Flows that the tests of the prefork worker deploy; each process imports them by their dotted names."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from prefect import Flow, flow, task
from prefect.client.schemas.objects import FlowRun, State


@task
def add_one(number: int) -> int:
    return number + 1


@flow
def three_tasks(number: int = 0) -> None:
    assert add_one(add_one(add_one(number))) == number + 3


@flow
def note_process(folder: str) -> None:
    """Leaves a file named after the process that ran it and the moment."""
    Path(folder, f"{time.time_ns()} {os.getpid()}").touch()


@flow
def wait_for_file(folder: str, seconds: float = 60) -> None:
    """Runs until `folder` holds a file `go`; leaves a file named after its process."""
    Path(folder, f"{time.time_ns()} {os.getpid()}").touch()
    deadline = time.monotonic() + seconds
    while not Path(folder, "go").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("nobody said go")
        time.sleep(0.02)


@flow
def kill_own_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task
def wait_in_task(folder: str) -> None:
    wait_for_file.fn(folder)


@flow
def inner(folder: str) -> None:
    wait_in_task(folder)


def note_crash(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    Path(flow_run.parameters["folder"], f"crashed {flow_run.id} {state.name}").touch()


@flow(on_crashed=[note_crash])
def outer(folder: str) -> None:
    inner(folder)


@flow
def read_environment(name: str, folder: str) -> None:
    Path(folder, os.environ.get(name, "unset")).touch()
