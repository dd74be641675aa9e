"""The one module that leans on private parts of Prefect; a contract test checks each in the pinned version.

All of it concerns a child process, which runs many flow runs where Prefect's engine expects to run one.
"""

from __future__ import annotations

import importlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from uuid import UUID

from prefect._flow_run_suspension import FlowRunSuspensionRequest
from prefect._internal.control_listener import _set_intent, clear_intent
from prefect.events.worker import EventsWorker
from prefect.exceptions import TerminationSignal
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

SECONDS_REMEMBERED = 60.0
DEFAULT_STORAGE = "_read_server_default_result_storage_block_id"

# Typed as Any, for what is replaced in them is not exported.
flow_engine: Any = importlib.import_module("prefect.flow_engine")
engine_signals: Any = importlib.import_module("prefect.utilities.engine")
results: Any = importlib.import_module("prefect.results")


@contextmanager
def engine_for_many_runs() -> Iterator[None]:
    """Leave out what the engine does for one run in a process of its own.

    The heartbeat thread is joined at the end of every run, about 0.9 s; the worker itself notices a dead
    child. The suspension observer opens a websocket for every run, about 0.2 s; so a run that someone
    suspends while it runs goes on to its end. A SIGTERM does not crash the run: the worker decides. The
    server's default result storage, asked for twice in every run, is remembered for SECONDS_REMEMBERED.
    """
    with (
        _replaced(flow_engine, "observe_flow_run_suspension", _observe_nothing),
        _replaced(engine_signals, "_prefect_sigterm_handler", _ignore_signal),
        _replaced(results, DEFAULT_STORAGE, _remembering(getattr(results, DEFAULT_STORAGE))),
        # Neither the environment nor a profile can say "never": only None keeps the thread away.
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


@contextmanager
def _replaced(module: Any, name: str, replacement: Callable[..., Any]) -> Iterator[None]:
    original = getattr(module, name)
    setattr(module, name, replacement)
    try:
        yield
    finally:
        setattr(module, name, original)


def _remembering(
    read: Callable[[], UUID | None], clock: Callable[[], float] = time.monotonic
) -> Callable[[], UUID | None]:
    known: list[tuple[float, UUID | None]] = []

    def remembered() -> UUID | None:
        now = clock()
        if not known or now - known[0][0] > SECONDS_REMEMBERED:
            known[:] = [(now, read())]
        return known[0][1]

    return remembered


@contextmanager
def _observe_nothing(
    flow_run_id: UUID, suspension_request: FlowRunSuspensionRequest, polling_interval: float = 10
) -> Iterator[None]:
    yield


def _ignore_signal(number: int, *_: object) -> None:
    pass


def cancel_present_run() -> NoReturn:
    """Make the engine end the run of this (the main) thread as Cancelled, its hooks included."""
    _set_intent("cancel")
    raise TerminationSignal(signal=signal.SIGTERM)


def forget_cancellation() -> None:
    """Make the engine ready for the next run after `cancel_present_run`."""
    clear_intent()


def send_logs_and_events(timeout_seconds: float) -> None:
    """Hand over what this process still holds back for the server; it can log no more afterwards."""
    APILogWorker.drain_all(timeout=timeout_seconds)
    EventsWorker.drain_all(timeout=timeout_seconds)
