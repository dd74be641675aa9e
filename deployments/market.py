"""The deployments that keep market data fresh: one per step, each hour at its minute, and one for all."""

from __future__ import annotations

from typing import Final

from deployments.missions import WORK_POOL
from deployments.spec import OWNED_TAG, DeploymentSpec, ScheduleSpec
from flows.market_runs import DEPLOYMENT, TAG

QUEUES: Final = {"signals": 2, "market_regime": 3, "ema_channel": 4, "indicators": 5, "ohlc": 6}
"""Work queue → priority, 1 (Missions, in `default`) being the highest: what is nearly done goes first."""


def _spec(flow: str, function: str, queue: str, minute: int | None, description: str) -> DeploymentSpec:
    hourly = () if minute is None else (ScheduleSpec("hourly", f"{minute} * * * *", "UTC", True),)
    return DeploymentSpec(
        key=f"flow:{flow}",
        flow_name=flow,
        name=DEPLOYMENT,
        entrypoint=f"flows.market.{function}",
        parameters={},
        work_pool=WORK_POOL,
        work_queue=queue,
        schedules=hourly,
        description=description,
        tags=(OWNED_TAG, TAG),
    )


MARKET_FLOWS: Final = (
    _spec("fetch_ohlc_data", "fetch_ohlc_data", "ohlc", 5, "Fetches the candles that have closed."),
    _spec(
        "calculate_indicators",
        "calculate_indicators",
        "indicators",
        10,
        "Calculates indicators of new candles.",
    ),
    _spec(
        "calculate_ema_channel",
        "calculate_ema_channel",
        "ema_channel",
        15,
        "Calculates the EMA channel of new candles.",
    ),
    _spec(
        "calculate_market_regime",
        "calculate_market_regime",
        "market_regime",
        20,
        "Decides the regime at new candles.",
    ),
    _spec(
        "generate_trading_signals",
        "generate_trading_signals",
        "signals",
        25,
        "Decides the signal at new candles, and closes those that changed.",
    ),
    _spec("update_all", "update_all_flow", "ohlc", None, "All five steps in their order, when asked for."),
)
