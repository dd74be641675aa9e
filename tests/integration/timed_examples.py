"""Timed tasks as a user's module has them, for the desk to import; each call is remembered in CALLS."""

from __future__ import annotations

from typing import Any

from prefect import flow

from missiondesk.timed import timed_task

CALLS: list[Any] = []
# What the next calls raise, the first one first.
FAILURES: list[Exception] = []


def _called(what: str, *arguments: Any) -> None:
    CALLS.append((what, *arguments))
    if FAILURES:
        raise FAILURES.pop(0)


@timed_task(task="plain", task_name="Plain", flag="1", unique=["channel"])
def plain(executed_data: Any, *args: Any, **kwargs: Any) -> None:
    _called("plain", executed_data, args, kwargs)


@timed_task(task="async", task_name="Async", flag="1", unique=["channel"])
async def asynchronous(executed_data: Any) -> None:
    _called("async", executed_data)


@timed_task(task="timed flow", task_name="A flow that is timed", flag="1", unique=["channel"])
@flow(name="a-flow-that-is-timed", persist_result=False)
def timed_flow(executed_data: dict[int, list[dict[str, Any]]], to: str = "all") -> str:
    _called("timed flow", executed_data, to)
    return to


@flow(name="a-flow-of-a-timed-one", persist_result=False)
@timed_task(task="flow of timed", task_name="A flow around", flag="1", unique=["channel"])
def flow_of_timed(executed_data: dict[int, list[dict[str, Any]]]) -> None:
    _called("flow of timed", executed_data)


@timed_task(task="timed async flow", task_name="", flag="1", unique=["channel"])
@flow(name="an-async-flow-that-is-timed", persist_result=False)
async def timed_async_flow(executed_data: dict[int, list[dict[str, Any]]]) -> None:
    _called("timed async flow", executed_data)
