"""Counts what a feed hears and what of it is stored, and adds it to the database every few seconds."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from sqlalchemy.exc import SQLAlchemyError

from missiondesk.feeds.board import Place
from missiondesk.feeds.feed import Feed
from missiondesk.store.feed_figures import FeedFiguresStore
from models.errors import RetryLater
from models.quote import FeedFigures, Quote

log = logging.getLogger(__name__)

_SECONDS: Final = 5.0


class FigureWriter:
    """A thread of its own from `with` on; what could not be written is added the next time."""

    def __init__(self, feed: Feed, store: FeedFiguresStore, seconds: float = _SECONDS) -> None:
        self._feed = feed
        self._store = store
        self._seconds = seconds
        self._quotes: Counter[Place] = Counter()
        self._stored: Counter[Place] = Counter()
        self._written: dict[Place, FeedFigures] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="figures of the feed", daemon=True)

    def stored(self, quotes: Sequence[Quote]) -> None:
        """These are in the store now."""
        self._stored.update(Place(quote.exchange, quote.symbol) for quote in quotes)

    def __enter__(self) -> Self:
        self._feed.register(self._count)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what is left, once."""
        self._feed.remove(self._count)
        self._stop.set()
        self._thread.join()

    def _count(self, quote: Quote) -> None:
        self._quotes[Place(quote.exchange, quote.symbol)] += 1

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._write()
        self._write()

    def _write(self) -> None:
        now = datetime.now(UTC)
        counted = {place: self._figures(place, now) for place in self._feed.places}
        try:
            self._store.add([_since(self._written.get(place), each) for place, each in counted.items()])
        except (RetryLater, SQLAlchemyError) as error:  # the latter: a full disk, say
            log.warning("figures of the feed are not written, they are tried again: %s", error)
        else:
            self._written = counted

    def _figures(self, place: Place, now: datetime) -> FeedFigures:
        """All that was counted so far."""
        venue, newest = self._feed.venues[place.exchange], self._feed.board.quote(place)
        return FeedFigures(
            *place,
            messages=venue.messages[place.symbol],
            quotes=self._quotes[place],
            stored=self._stored[place],
            reconnects=max(0, venue.connections - 1),
            stale_sides=self._feed.board.stale_sides(place, now),
            heard_at=None if newest is None else newest.received_at,
        )


def _since(before: FeedFigures | None, now: FeedFigures) -> FeedFigures:
    if before is None:
        return now
    return replace(
        now,
        messages=now.messages - before.messages,
        quotes=now.quotes - before.quotes,
        stored=now.stored - before.stored,
        reconnects=now.reconnects - before.reconnects,
    )
