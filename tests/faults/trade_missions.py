"""Missions of trade Tasks, and the live accounts they trade on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from missiondesk.desk import Desk
from missiondesk.store.accounts import Accounts
from missiondesk.templates.validation import check_task

SYMBOL = "BTC/USD"


def arm_account(desk: Desk, name: str) -> None:
    """With limits that are looked at and never reached."""
    far = Decimal(10**9)
    limits = dict.fromkeys(("max_order_notional", "max_daily_loss", "max_open_exposure"), far)
    accounts = Accounts(desk.engine)
    accounts.save({"name": name, "exchange": "sandbox", "credentials": "environment", **limits})
    accounts.arm(name)


def save_mission(desk: Desk, name: str, account: str, walk: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """`walk`: template and params of each Task; the last is the Target."""
    ids = [
        desk.missions.save_task(
            {"name": f"{template} of {name}", "template": template, "params": {"symbol": SYMBOL, **params}},
            check_task,
        ).id
        for template, params in walk
    ]
    saved = {"name": name, "task_ids": ids[:-1], "target_id": ids[-1], "account": account, "mode": "live"}
    desk.missions.save(saved)
