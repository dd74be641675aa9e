"""What a feed hears goes to the bus, to the store and, counted, to the figures that metrics show."""

from __future__ import annotations

from contextlib import ExitStack, closing
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from missiondesk.bus.port import Bus
from missiondesk.feeds.feed import Feed
from missiondesk.feeds.figures import FigureWriter
from missiondesk.feeds.sinks import to_bus, to_store
from missiondesk.store.feed_figures import FeedFiguresStore
from missiondesk.store.quotes import Quotes


class Streaming:
    """For as long as its `with` lasts; in the end what was heard is written, and the bus is closed.

    Its text says how much was written so far.
    """

    def __init__(self, feed: Feed, bus: Bus, engine: Engine) -> None:
        self._feed = feed
        self._bus = bus
        self._figures = FigureWriter(feed, FeedFiguresStore(engine))
        self._published = to_bus(bus)
        self._stored = to_store(Quotes(engine), self._figures.stored)

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(closing(self._bus))
            opened.enter_context(self._figures)
            for sink in (self._published, self._stored):
                opened.enter_context(sink)
                self._feed.register(sink)
                opened.callback(self._feed.remove, sink)
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def __str__(self) -> str:
        return f"{self._stored.written} quotes stored, {self._published.written} published"
