"""The child process: runs one flow run at a time in its main thread, orders are read by a second thread."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, assert_never
from uuid import UUID

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import SyncClientContext
from prefect.exceptions import Abort, Pause, TerminationSignal
from prefect.flow_engine import run_flow
from prefect.flows import load_flow_from_entrypoint
from prefect.logging import get_logger
from prefect.logging.loggers import PrefectLogAdapter, flow_run_logger

from deployments.prefork.messages import Cancel, Ended, Ready, RunFlow, Stop
from deployments.prefork.prefect_private import (
    cancel_present_run,
    engine_for_many_runs,
    forget_cancellation,
    send_logs_and_events,
)
from deployments.prefork.registry import SharedDescriptor

SECONDS_TO_SEND_LOGS = 5.0

_log = get_logger("workers.prefork")


class Child:
    """Serves the orders that come through `connection`, at most `runs` flow runs."""

    def __init__(self, connection: Connection[Any, Any], runs: int) -> None:
        self._connection = connection
        self._runs_left = runs
        self._orders: SimpleQueue[RunFlow | Stop] = SimpleQueue()
        self._flows: dict[tuple[str, str | None], Flow[..., Any]] = {}
        self._present: UUID | None = None
        self._to_cancel: UUID | None = None
        self._main_thread = threading.get_ident()

    def serve(self) -> None:
        """Returns after a Stop or the last run; the process ends at once when the worker is gone."""
        signal.signal(signal.SIGUSR2, self._on_cancel)
        self._heed_only_the_worker()
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        with engine_for_many_runs(), ExitStack() as connections:
            self._connection.send(Ready())
            while isinstance(order := self._orders.get(), RunFlow):
                ended = self._run(order, connections)
                self._heed_only_the_worker()
                if ended.leaving:
                    send_logs_and_events(SECONDS_TO_SEND_LOGS)
                self._connection.send(ended)
                if ended.leaving:
                    return
        send_logs_and_events(SECONDS_TO_SEND_LOGS)

    def _heed_only_the_worker(self) -> None:
        # A terminal's Ctrl-C and a service manager's SIGTERM reach every process; the worker alone decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _listen(self) -> None:
        try:
            while True:
                order = self._connection.recv()
                match order:
                    case RunFlow() | Stop():
                        self._orders.put(order)
                    case Cancel():
                        self._to_cancel = order.flow_run_id
                        signal.pthread_kill(self._main_thread, signal.SIGUSR2)
                    case _:
                        assert_never(order)
        except (EOFError, OSError):
            # The next worker settles the run, so nothing of it may go on here.
            os.killpg(0, signal.SIGKILL)

    def _on_cancel(self, *_: object) -> None:
        if self._present is not None and self._present == self._to_cancel:
            self._to_cancel = None
            cancel_present_run()

    def _run(self, order: RunFlow, connections: ExitStack) -> Ended:
        self._runs_left -= 1
        settled, problem, fit = False, None, True
        self._present = order.flow_run_id
        try:
            if SyncClientContext.get() is None:
                connections.enter_context(SyncClientContext.get_or_create())
            with _surroundings(order):
                state = self._run_flow(order)
            settled = state.is_final() or state.is_paused() or state.is_scheduled()
        except (Abort, Pause):
            pass  # the server refused or paused the run, so it knows how the run stands
        except TerminationSignal:
            forget_cancellation()
        except FlowNotLoaded as error:
            problem = str(error)
        except Exception as error:
            _log.exception("Flow run %s ended by an error outside its flow", order.flow_run_id)
            problem = f"{type(error).__name__}: {error}"
        except BaseException as error:
            problem, fit = f"{type(error).__name__}: {error}", False
        finally:
            self._present = None
        leaving = not fit or self._runs_left <= 0
        return Ended(order.flow_run_id, settled=settled, problem=problem, leaving=leaving)

    def _run_flow(self, order: RunFlow) -> State[Any]:
        flow_run = FlowRun.model_validate_json(order.flow_run)
        logger = flow_run_logger(flow_run)
        try:
            flow = self._flow(order.entrypoint, order.directory)
        except Exception as error:
            if order.over is None:
                logger.exception("The flow could not be loaded from %s", order.entrypoint)
            raise FlowNotLoaded(order.entrypoint, error) from error
        if order.over is not None:
            return _run_hooks(flow, flow_run, State.model_validate_json(order.over), logger)
        state: State[Any] = _now(run_flow(flow, flow_run=flow_run, return_type="state"))
        return state

    def _flow(self, entrypoint: str, directory: str | None) -> Flow[..., Any]:
        if (entrypoint, directory) not in self._flows:
            flow: Flow[..., Any] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
            self._flows[entrypoint, directory] = flow
        return self._flows[entrypoint, directory]


class FlowNotLoaded(Exception):
    """The deployment's entrypoint does not lead to a flow."""

    def __init__(self, entrypoint: str, error: Exception) -> None:
        super().__init__(f"The flow could not be loaded from {entrypoint}: {type(error).__name__}: {error}")


def _run_hooks(
    flow: Flow[..., Any], flow_run: FlowRun, state: State[Any], logger: PrefectLogAdapter
) -> State[Any]:
    hooks = flow.on_cancellation_hooks if state.is_cancelled() else flow.on_crashed_hooks
    for hook in hooks:
        try:
            _now(hook(flow, flow_run, state))
        except Exception:
            logger.exception("A hook for state %s ended by an error", state.name)
    return state


def _now(outcome: Any) -> Any:
    """What an async function returned, once it has run; anything else as it is."""
    return asyncio.run(outcome) if inspect.iscoroutine(outcome) else outcome


@contextmanager
def _surroundings(order: RunFlow) -> Iterator[None]:
    """The run's own directory and environment variables; the next run finds them as they were."""
    directory, environment = Path.cwd(), dict(os.environ)
    if order.directory is not None:
        os.chdir(order.directory)
        if order.directory not in sys.path:
            sys.path.insert(0, order.directory)
    for name, value in order.environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    try:
        yield
    finally:
        os.chdir(directory)
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)


def serve(connection: Connection[Any, Any], runs: int, lock: SharedDescriptor) -> None:
    """The main function of a child process; `lock` stays held until it ends."""
    # A group of its own, so that what a flow run starts can be killed with it.
    os.setsid()
    Child(connection, runs).serve()
