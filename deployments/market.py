"""The deployments that keep market data fresh: one per step, each hour at its minute, and one for all."""

from __future__ import annotations

from typing import Any, Final

from deployments.missions import WORK_POOL
from deployments.spec import OWNED_TAG, DeploymentSpec, ScheduleSpec
from flows.market_runs import DEPLOYMENT, TAG
from missiondesk.refresh.order import WHOLE_SECONDS, longest_seconds
from missiondesk.refresh.steps import Step

QUEUES: Final = {"signals": 2, "market_regime": 3, "ema_channel": 4, "indicators": 5, "ohlc": 6}
"""Work queue → priority, 1 (Missions, in `default`) being the highest: what is nearly done goes first."""

_GRACE_SECONDS: Final = 60
"""From a flow's own limit until its process is killed."""


def _spec(
    flow: str,
    function: str,
    queue: Step,
    seconds: float,
    description: str,
    minute: int | None = None,
    stage: int = 0,
) -> DeploymentSpec:
    hourly = () if minute is None else (ScheduleSpec("hourly", f"{minute} * * * *", "UTC", True),)
    job_variables: dict[str, Any] = {"timeout_seconds": seconds + _GRACE_SECONDS}
    if stage:
        job_variables["stage"] = stage
    return DeploymentSpec(
        key=f"flow:{flow}",
        flow_name=flow,
        name=DEPLOYMENT,
        entrypoint=f"flows.market.{function}",
        parameters={},
        work_pool=WORK_POOL,
        work_queue=queue.value,
        schedules=hourly,
        description=description,
        tags=(OWNED_TAG, TAG),
        job_variables=job_variables,
    )


def _step_spec(flow: str, step: Step, minute: int, description: str) -> DeploymentSpec:
    """Where several are due at once, none takes the place of a step that it would then wait for."""
    stage = 1 + list(Step).index(step)
    return _spec(flow, flow, step, longest_seconds(step), description, minute, stage)


MARKET_FLOWS: Final = (
    _step_spec("fetch_ohlc_data", Step.OHLC, 5, "Fetches the candles that have closed."),
    _step_spec("calculate_indicators", Step.INDICATORS, 10, "Calculates indicators of new candles."),
    _step_spec("calculate_ema_channel", Step.EMA_CHANNEL, 15, "Calculates the EMA channel of new candles."),
    _step_spec("calculate_market_regime", Step.MARKET_REGIME, 20, "Decides the regime at new candles."),
    _step_spec(
        "generate_trading_signals",
        Step.SIGNALS,
        25,
        "Decides the signal at new candles, and closes those that changed.",
    ),
    _spec(
        "update_all",
        "update_all_flow",
        Step.OHLC,
        WHOLE_SECONDS,
        "All five steps in their order, when asked for.",
    ),
)
