"""The decision that an intent commits: how much, or why not. Pure, over what one transaction saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from missiondesk.orders.admission import Standing, halted, refusal
from missiondesk.orders.exposure import Book, Draft, activity, reducible, unsold
from missiondesk.orders.limits import over_limit
from missiondesk.orders.notional import below_minimum, round_amount
from missiondesk.orders.reconcile import Done, Send
from missiondesk.orders.sizing import Denied, fit, size
from missiondesk.orders.terms import Terms, weighs_book
from models.market import Instrument
from models.order import Order, TradeRequest


@dataclass(frozen=True)
class Snapshot:
    """What the transaction read under the account's lock.

    chain: the orders of this market that rest or have filled in the request's chain of Missions, read for
    requests that may reduce. book: of the whole account, read when its limits look at what it holds.
    """

    standing: Standing
    orders_last_minute: int
    chain: Sequence[Order]
    book: Book


@dataclass(frozen=True)
class Decided:
    """What to intend. `reduces`: it only makes a holding smaller, so limits and kill switch let it pass."""

    amount: Decimal
    reduces: bool


def may_reduce(request: TradeRequest, instrument: Instrument) -> bool:
    """Whether its order may turn out to only reduce: it is asked to, or it sells on a spot market."""
    return request.reduce_only or (request.side == "sell" and not instrument.is_contract)


def decide(request: TradeRequest, send: Send, terms: Terms, snapshot: Snapshot) -> Decided | Denied | Done:
    """What to intend; Done when what is left to fill, or to reduce, is below the venue's minimum."""
    may = may_reduce(request, terms.instrument)
    if (reason := refusal(request, snapshot.standing, reduces=may)) is not None:
        return Denied(reason)
    means, remainder = terms.means, send.remainder
    if request.reduce_only:
        left = reducible(
            snapshot.chain, terms.instrument, request.side, terms.position, whole=request.whole_position
        )
        means = replace(means, reducible=left)
        remainder = None if remainder is None else min(remainder, left)
    if remainder is None:
        amount = size(request, terms.instrument, means)
    elif below_minimum(terms.instrument, round_amount(terms.instrument, remainder), means.price) is not None:
        return Done()
    else:
        amount = fit(remainder, request, terms.instrument, means)
    if isinstance(amount, Denied):
        return amount
    reduces = request.reduce_only or (may and amount <= unsold(snapshot.chain, terms.instrument))
    decided = Decided(amount, reduces)
    reason = halted(snapshot.standing.desk, reduces=reduces) or _limit(request, decided, terms, snapshot)
    return decided if reason is None else Denied(reason, amount)


def _limit(request: TradeRequest, decided: Decided, terms: Terms, snapshot: Snapshot) -> str | None:
    account = snapshot.standing.account
    weighs = weighs_book(account) and not decided.reduces
    if weighs and not _marked(snapshot.book, terms):
        return f"what account {account.name} holds changed at this moment; tried again at the next tick"
    worst = max(terms.means.price * (1 + terms.means.slippage), terms.bid)
    done = activity(
        Draft(terms.instrument, request.side, decided.amount, worst),
        snapshot.book,
        terms.marks,
        snapshot.orders_last_minute,
    )
    return over_limit(account, done, reduces=decided.reduces)


def _marked(book: Book, terms: Terms) -> bool:
    """Whether the terms have a price for everything in the book that counts."""
    if terms.midnight is None:  # the account got its limits just now
        return False
    return book.markets <= terms.seen and all(
        mark.opening is not None or book.carries(market, mark.instrument) == 0
        for market, mark in terms.marks.items()
    )
