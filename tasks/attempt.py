"""Tries a Mission's Task as a Prefect task run that is named after it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext

from missiondesk.market.candles import expected_last_open
from missiondesk.templates.context import Context
from missiondesk.templates.registry import find
from missiondesk.templates.run import try_template
from missiondesk.templates.undecided import UNDECIDED_RULES
from models.errors import CallOperator, InputRefused, LeaseLost
from models.mission import MissionTask
from models.result import Verdict
from tasks.arguments import untouched
from tasks.results import data_of, result_of

# The name of the state of a task run whose result was taken from the cache.
CACHED = "Cached"


@task(persist_result=False, cache_policy=NO_CACHE, log_prints=False)
def attempt(mission_task: MissionTask, context: Context) -> dict[str, Any]:
    """One try of the template; the verdict as plain JSON values, so that it can be cached."""
    verdict = try_template(context, mission_task)
    return {
        "passed": verdict.passed,
        "rule": verdict.rule,
        "msg_format": verdict.msg_format,
        "msg_args": dict(verdict.msg_args),
    }


def attempt_as_task_run(mission_task: MissionTask, context: Context) -> Verdict:
    """Try with the Task's own retries, delay, timeout and caching. Raises what is left after the retries."""
    options: dict[str, Any] = {
        "name": mission_task.name,
        # Prefect formats this text.
        "task_run_name": mission_task.name.replace("{", "{{").replace("}", "}}"),
        "retries": mission_task.retries,
        "retry_delay_seconds": mission_task.retry_delay_seconds,
        "retry_condition_fn": _may_resolve_itself,
        "timeout_seconds": mission_task.timeout_seconds,
    }
    if mission_task.cache_seconds is not None and find(mission_task.template).kind == "data":
        options |= {
            "cache_policy": CachePolicy.from_cache_key_fn(_cache_key),
            "cache_expiration": timedelta(seconds=mission_task.cache_seconds),
            "persist_result": True,
            "result_serializer": "json",
        }
    arguments = (untouched(mission_task), untouched(context))
    run = attempt.with_options(**options)
    state = run(*arguments, return_state=True)
    verdict = Verdict(**result_of(state))
    if state.name == CACHED and verdict.rule in UNDECIDED_RULES:
        # Data that was missing then may have come by now.
        verdict = Verdict(**run.with_options(refresh_cache=True)(*arguments))
    return verdict


def _may_resolve_itself(run: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether the exception is one that another try may get rid of: not a wrong row, not wrong keys."""
    return not isinstance(data_of(state), InputRefused | CallOperator | LeaseLost)


def _cache_key(run: TaskRunContext, arguments: Mapping[str, Any]) -> str:
    """The same for every Mission that asks the same of the same closed candles; a hash, never raw text."""
    mission_task, context = arguments["mission_task"], arguments["context"]
    bars = {
        # Venues disagree on the day that weeks and 3-day bars open, but not on midnight.
        timeframe: expected_last_open(context.now, "1d" if timeframe in ("3d", "1w") else timeframe)
        for timeframe in _timeframes(mission_task.params)
    }
    question = [mission_task.template, mission_task.params, context.exchange, bars]
    return hashlib.sha256(json.dumps(question, sort_keys=True, default=str).encode()).hexdigest()


def _timeframes(params: Any) -> Iterator[str]:
    if isinstance(params, Mapping):
        for name, value in params.items():
            if name == "timeframe" and isinstance(value, str):
                yield value
            else:
                yield from _timeframes(value)
    elif isinstance(params, list):
        for value in params:
            yield from _timeframes(value)
