"""Missions to look at on a new desk. They are written into an empty table only, and trade on paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, func, select

from missiondesk.exchanges.port import MarketData
from missiondesk.store.database import transaction
from missiondesk.store.missions import Missions
from missiondesk.store.saving import CheckTask
from models.mission import MissionId
from models.tables import mission, task

# The one that gets a first ad-hoc tick, and walks through in it.
FIRST_TO_RUN = "btc-first-buy"

_PREFERRED_SYMBOLS = ("BTC/USD", "BTC/USDT")


def write_demo_missions(engine: Engine, market: MarketData, check_task: CheckTask) -> Sequence[str]:
    """Names of the Missions written; none when the tables hold anything already."""
    with transaction(engine) as connection:
        present = connection.scalar(select(func.count()).select_from(mission))
        if present or connection.scalar(select(func.count()).select_from(task)):
            return ()
    symbols = market.instruments()
    symbol = next((each for each in _PREFERRED_SYMBOLS if each in symbols), min(symbols))
    missions = Missions(engine, actor="demo")
    ids = {fields["name"]: missions.save_task(fields, check_task).id for fields in _tasks(symbol)}
    saved: dict[str, MissionId] = {}
    for name, queue, target, extra in _MISSIONS:
        steps = {"task_ids": [ids[each] for each in queue], "target_id": ids[target]}
        saved[name] = missions.save({"name": name, **steps, **extra}).id
    for name, following in _CHAINS.items():
        missions.save({"name": name, "next_mission_id": saved[following]})
    return tuple(saved)


def _tasks(symbol: str) -> list[dict[str, Any]]:
    hourly, minutely = {"symbol": symbol, "timeframe": "1h"}, {"symbol": symbol, "timeframe": "1m"}

    def asked(name: str, template: str, params: dict[str, Any], period: str | None) -> dict[str, Any]:
        return {
            "name": name,
            "template": template,
            "params": params,
            "period": period,
            "retries": 2,
            "retry_delay_seconds": 2,
        }

    def traded(name: str, template: str, amount: str, unit: str) -> dict[str, Any]:
        params = {"symbol": symbol, "amount": amount, "unit": unit, "timeout_seconds": 120}
        return {"name": name, "template": template, "params": params, "period": "1min"}

    leave = {"symbol": symbol, "amount": "100", "unit": "percent"}
    exits = [
        {"template": "stop_loss", "params": {**leave, "percent": 5, "condition": "stopped"}},
        {"template": "take_profit", "params": {**leave, "percent": 10}},
    ]
    return [
        asked("hourly open near its mean", "open_within_ma_band", {**hourly, "value": 25}, "60min"),
        asked(
            "price is above zero",
            "compare",
            {**minutely, "left": {"indicator": "price"}, "op": ">", "right": 0},
            "1min",
        ),
        traded("buy 0.01", "market_buy", "0.01", "base"),
        asked("hourly RSI under 30", "rsi_below", {**hourly, "value": 30}, "60min"),
        asked("price under the lower band", "price_below_lower_band", minutely, "1min"),
        traded("buy 0.1", "market_buy", "0.1", "base"),
        asked("hourly RSI over 60", "rsi_above", {**hourly, "value": 60}, "60min"),
        asked("price over the upper band", "price_above_upper_band", minutely, "1min"),
        traded("sell all", "market_sell", "100", "percent"),
        asked("MACD crosses up", "macd_cross", {**hourly, "direction": "up"}, "60min"),
        asked("volume above its mean", "volume_above_mean", minutely, "1min"),
        traded("buy for 1000", "market_buy", "1000", "quote"),
        {
            "name": "5 percent loss or 10 percent gain",
            "template": "any_of",
            "params": {"tasks": exits},
            "period": "1min",
        },
    ]


# Name, queue, Target, and what else its row says.
_MISSIONS: tuple[tuple[str, tuple[str, ...], str, dict[str, Any]], ...] = (
    (
        FIRST_TO_RUN,
        ("hourly open near its mean", "price is above zero"),
        "buy 0.01",
        {"description": "Walks its list at once, so that there is something to see."},
    ),
    (
        "btc-dip",
        ("hourly RSI under 30", "price under the lower band"),
        "buy 0.1",
        {"description": "Buys a dip, then hands over to btc-recovery."},
    ),
    (
        "btc-recovery",
        ("hourly RSI over 60", "price over the upper band"),
        "sell all",
        {"description": "Sells what btc-dip bought, then hands back.", "enabled": False},
    ),
    (
        "btc-momentum",
        ("MACD crosses up", "volume above its mean"),
        "buy for 1000",
        {
            "description": "Buys with the trend, unless a stop-loss has set the Condition `stopped`.",
            "can_run_before_each_task": "!stopped",
        },
    ),
    (
        "btc-exit",
        (),
        "5 percent loss or 10 percent gain",
        {"description": "Leaves what btc-momentum bought, with a loss or a profit.", "enabled": False},
    ),
)

_CHAINS = {
    "btc-dip": "btc-recovery",
    "btc-recovery": "btc-dip",
    "btc-momentum": "btc-exit",
    "btc-exit": "btc-momentum",
}
