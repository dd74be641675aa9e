"""What the prefork worker uses of Prefect beyond its documented interface, checked as installed."""

from __future__ import annotations

import inspect
import signal
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow_engine, results
from prefect._internal import control_listener
from prefect.context import SyncClientContext
from prefect.events.worker import EventsWorker
from prefect.exceptions import TerminationSignal
from prefect.flow_engine import BaseFlowRunEngine, FlowRunEngine, _send_heartbeats, run_flow
from prefect.flows import load_flow_from_entrypoint
from prefect.logging.handlers import APILogWorker
from prefect.settings import get_current_settings
from prefect.utilities import engine as engine_signals
from prefect.workers.base import BaseWorker

from deployments.prefork import prefect_private
from deployments.prefork.prefect_private import (
    cancel_present_run,
    engine_for_many_runs,
    forget_cancellation,
)


def takes(function: Callable[..., Any], *names: str) -> bool:
    return set(names) <= set(inspect.signature(function).parameters)


def test_the_engine_looks_up_what_we_replace() -> None:
    assert "observe_flow_run_suspension(" in inspect.getsource(
        BaseFlowRunEngine.setup_flow_run_suspension_request
    )
    theirs = inspect.signature(flow_engine.observe_flow_run_suspension).parameters
    assert theirs.keys() == inspect.signature(prefect_private._observe_nothing).parameters.keys()
    assert "_prefect_sigterm_handler" in inspect.getsource(engine_signals.capture_sigterm)
    observe, heed = flow_engine.observe_flow_run_suspension, engine_signals._prefect_sigterm_handler
    with engine_for_many_runs():
        assert flow_engine.observe_flow_run_suspension is not observe
        assert engine_signals._prefect_sigterm_handler is not heed
    assert flow_engine.observe_flow_run_suspension is observe
    assert engine_signals._prefect_sigterm_handler is heed


def test_the_default_result_storage_is_asked_for_once_in_a_while() -> None:
    name = prefect_private.DEFAULT_STORAGE
    assert f"{name}()" in inspect.getsource(results._get_default_result_storage)
    assert not inspect.signature(getattr(results, name)).parameters
    answers = iter([uuid4(), uuid4()])
    clock = iter([0.0, 59.0, 61.0])
    remembered = prefect_private._remembering(lambda: next(answers), lambda: next(clock))
    first, second, third = remembered(), remembered(), remembered()
    assert first == second != third


def test_without_a_frequency_there_is_no_heartbeat_thread() -> None:
    assert get_current_settings().flows.heartbeat_frequency is not None
    with engine_for_many_runs():
        assert get_current_settings().flows.heartbeat_frequency is None
        engine = FlowRunEngine[Any, Any](flow=None, flow_run_id=object())  # type: ignore[arg-type]
        threads = threading.active_count()
        with _send_heartbeats(engine):
            assert threading.active_count() == threads


def test_a_sigterm_does_not_reach_the_run() -> None:
    with engine_for_many_runs(), engine_signals.capture_sigterm():
        signal.raise_signal(signal.SIGTERM)


def test_a_cancellation_is_the_engines_own() -> None:
    with pytest.raises(TerminationSignal), engine_for_many_runs(), engine_signals.capture_sigterm():
        cancel_present_run()
    assert control_listener.get_intent() == "cancel"
    assert 'intent == "cancel"' in inspect.getsource(FlowRunEngine.initialize_run)
    forget_cancellation()
    assert control_listener.get_intent() is None
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_the_calls_we_make_take_what_we_give() -> None:
    assert takes(run_flow, "flow", "flow_run", "return_type")
    assert takes(load_flow_from_entrypoint, "entrypoint", "use_placeholder_flow")
    assert takes(APILogWorker.drain_all, "timeout")
    assert takes(EventsWorker.drain_all, "timeout")
    assert takes(SyncClientContext.get_or_create)
    assert takes(BaseWorker.__init__, "work_pool_name", "work_queues", "name", "prefetch_seconds", "limit")
    assert takes(BaseWorker.start, "run_once", "with_healthcheck", "printer")
    assert "_work_pool" in inspect.getsource(BaseWorker.work_pool.fget)  # type: ignore[arg-type]
    for hook in ("setup", "teardown", "sync_with_backend", "get_and_submit_flow_runs"):
        assert inspect.iscoroutinefunction(getattr(BaseWorker, hook))
