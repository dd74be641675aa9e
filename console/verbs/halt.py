"""`missiondesk halt` and `resume`: the kill switch."""

from __future__ import annotations

import click

from blocks.exchange_account import credentials_of
from console.verbs.database import open_database
from missiondesk.desk import Desk
from missiondesk.orders.killswitch import KillSwitch
from missiondesk.orders.progress import describe
from missiondesk.settings import Settings


def halt_desk(settings: Settings, *, reduce_only: bool, keep_open: bool) -> bool:
    """Whether every order that had to go is gone."""
    halted = _kill_switch(settings).halt(reduce_only=reduce_only, keep_open=keep_open)
    click.echo("halted: no new order is sent" + (" but those that reduce a position" if reduce_only else ""))
    for order in halted.ended:
        click.echo(f"  ended: {describe(order)} ({order.account}, {order.status})")
    for order, reason in halted.unsettled:
        click.echo(f"  not settled: {describe(order)} ({order.account}): {reason}", err=True)
    if halted.unsettled:
        click.echo("run `missiondesk halt` again to try these again", err=True)
    return not halted.unsettled


def resume_desk(settings: Settings) -> None:
    _kill_switch(settings).resume()
    click.echo("resumed: Missions may send orders again")


def _kill_switch(settings: Settings) -> KillSwitch:
    open_database(settings)
    return Desk(settings, credentials_of).kill_switch
