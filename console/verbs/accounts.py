"""`missiondesk arm` and `disarm`: whether an account trades with real money."""

from __future__ import annotations

import getpass

import click

from console.verbs.database import open_database
from missiondesk.settings import Settings
from missiondesk.store.accounts import Accounts


def arm_account(settings: Settings, name: str, *, ask: bool) -> None:
    """Raises InputRefused without the limits that arming needs, UnknownName, and click.Abort on a no."""
    accounts = _accounts(settings)
    found = accounts.get(name)
    limits = {
        "largest order": found.max_order_notional,
        "largest open exposure": found.max_open_exposure,
        "orders a minute": found.max_orders_per_minute,
        "largest loss a day": found.max_daily_loss,
    }
    click.echo(f"account {name} at {found.exchange or 'the exchange of the desk'}:")
    for limit, value in limits.items():
        click.echo(f"  {limit:<22} {'no limit' if value is None else f'{value:f}'}")
    told = "the desk's channels" if found.channels is None else ", ".join(found.channels) or "nobody"
    click.echo(f"  {'news go to':<22} {told}")
    if ask:
        click.confirm("Missions of mode live will then trade with real money. Arm it?", abort=True)
    accounts.arm(name)
    click.echo(f"account {name} is armed; `missiondesk disarm {name}` takes that back")


def disarm_account(settings: Settings, name: str) -> None:
    _accounts(settings).disarm(name)
    click.echo(f"account {name} is disarmed: it sends no more live orders")


def _accounts(settings: Settings) -> Accounts:
    return Accounts(open_database(settings), actor=f"{getpass.getuser()} (command line)")
