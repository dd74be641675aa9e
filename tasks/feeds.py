"""Following live prices for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from missiondesk.bus.open import open_bus
from missiondesk.desk import Desk
from missiondesk.feeds.board import Board, Place
from missiondesk.feeds.feed import Feed, FeedThread
from missiondesk.feeds.open import Venues, open_feed
from missiondesk.feeds.streaming import Streaming
from missiondesk.market_names import market_of
from missiondesk.markets.listed import listed_markets

_ARTIFACT: Final = "watched-markets"


@task(cache_policy=NO_CACHE, persist_result=False)
def stream_markets(desk: Desk, names: Sequence[str], until: datetime) -> str:
    """Their prices to the bus and to the store; says how many. Raises CallOperator when a venue refuses."""
    feed = _feed(desk, names)
    streaming = Streaming(feed, open_bus(desk.settings), desk.engine)
    with streaming, FeedThread(feed) as running:
        running.wait(_seconds_to(until))
    return str(streaming)


@task(cache_policy=NO_CACHE, persist_result=False)
def watch_markets(desk: Desk, names: Sequence[str], until: datetime) -> str:
    """Their best prices at the end as an artifact; says how many changes there were, or what is missing."""
    feed, changes = _feed(desk, names), list[datetime]()
    feed.register(lambda quote: changes.append(quote.received_at))
    with FeedThread(feed) as running:
        running.wait(_seconds_to(until))
        now = datetime.now(UTC)
        table = [_row(feed.board, place, now) for place in feed.places]
    create_table_artifact(table, key=_ARTIFACT, description=f"Best prices at {now:%Y-%m-%d %H:%M:%S} UTC")
    problems = [str(row["problem"]) for row in table if row["problem"]]
    return "; ".join([f"{len(changes)} changes of the best prices", *problems])


def _feed(desk: Desk, names: Sequence[str]) -> Feed:
    now = datetime.now(UTC)
    venues = Venues(desk.settings)
    # A name that is not listed is said now, and not by silence.
    listed_markets(names, venues.open, now)
    return open_feed([market_of(name, now) for name in names], venues)


def _seconds_to(until: datetime) -> float:
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _row(board: Board, place: Place, now: datetime) -> dict[str, Any]:
    quote, problem = board.quote(place), board.problem(place, now)
    row: dict[str, Any] = {"market": f"{place.exchange}:{place.symbol}"}
    for name in ("bid", "bid_amount", "ask", "ask_amount"):
        number = getattr(quote, name) if quote is not None and problem is None else None
        row[name.replace("_", " ")] = None if number is None else f"{number:f}"
    return {**row, "problem": problem}
