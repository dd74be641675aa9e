"""With which accounts a strategy trades: on paper, unless those that are named are armed."""

from __future__ import annotations

from collections.abc import Sequence

from missiondesk.store.accounts import Accounts
from models.account import PAPER_ACCOUNT, Account, Mode
from models.errors import InputRefused


def accounts_for(
    exchanges: Sequence[str], named: Sequence[str], accounts: Accounts, desk_exchange: str
) -> tuple[Sequence[Account], Mode]:
    """The account of each market's exchange, and how they trade. None named: on paper.

    Raises InputRefused for accounts that don't go together or trade elsewhere, UnknownName.
    """
    if not named:
        return [_paper(exchange, accounts, desk_exchange) for exchange in exchanges], "paper"
    if len(named) not in (1, len(exchanges)):
        raise InputRefused(
            f"expected one account for all markets or one for each of {len(exchanges)}, got {len(named)}"
        )
    names = [*named] * (len(exchanges) if len(named) == 1 else 1)
    found = [accounts.get(name) for name in names]
    for account, exchange in zip(found, exchanges, strict=True):
        if (at := account.exchange or desk_exchange) != exchange:
            raise InputRefused(
                f"account {account.name} trades at {at}, not at {exchange}: name an account of each market's "
                "exchange, in the order of the markets"
            )
    return found, _mode(found)


def _mode(accounts: Sequence[Account]) -> Mode:
    armed = [account.name for account in accounts if account.armed]
    if armed and len(armed) < len(accounts):
        raise InputRefused(f"expected accounts that are all armed or all not, got only {armed[0]} armed")
    return "live" if armed else "paper"


def _paper(exchange: str, accounts: Accounts, desk_exchange: str) -> Account:
    """Made at its first use: an account trades at one exchange, and the desk begins with one of its own."""
    usual = accounts.get(PAPER_ACCOUNT)
    if (usual.exchange or desk_exchange) == exchange:
        return usual
    name = f"{PAPER_ACCOUNT}-{exchange}"
    known = {account.name: account for account in accounts.all()}
    return known[name] if name in known else accounts.save({"name": name, "exchange": exchange})
