"""Where quotes go: to the bus and to the store, in batches, without holding up the feed."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from missiondesk.bus.port import Bus
from missiondesk.store.quotes import Quotes
from models.errors import RetryLater
from models.quote import Quote

log = logging.getLogger(__name__)

PRICE_CHANNEL = "price"

Write = Callable[[Sequence[Quote]], object]


class Sink:
    """A thread that writes what it is called with, every `seconds`, up to `most` at once.

    patient: what could not be written is tried again, and only the newest `kept` are; else it is dropped.
    """

    def __init__(
        self,
        name: str,
        write: Write,
        *,
        seconds: float,
        patient: bool,
        most: int = 5000,
        kept: int = 200_000,
    ) -> None:
        self._name = name
        self._write = write
        self._seconds = seconds
        self._patient = patient
        self._most = most
        self._waiting: deque[Quote] = deque(maxlen=kept)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.written = 0

    def __call__(self, quote: Quote) -> None:
        self._waiting.append(quote)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what is left, once."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            try:
                self._write(batch)
                self.written += len(batch)
            except (RetryLater, SQLAlchemyError) as error:  # the latter: a full disk, say
                if self._patient:
                    self._waiting.extendleft(reversed(batch))
                log.warning("%s: %d quotes not written%s: %s", self._name, len(batch), self._fate(), error)
                return

    def _fate(self) -> str:
        return ", they are tried again" if self._patient else ""


def to_bus(bus: Bus) -> Sink:
    """Each quote as JSON on channel `price`. An old price is no use to anybody: what fails is dropped."""
    return Sink(
        "quotes to the bus",
        lambda quotes: bus.publish(PRICE_CHANNEL, [quote.to_json() for quote in quotes]),
        seconds=0.02,
        patient=False,
    )


def to_store(quotes: Quotes, on_stored: Write = len) -> Sink:
    """Each quote as a row, through every outage of the database that is not too long.

    on_stored is called with those that were written.
    """

    def write(batch: Sequence[Quote]) -> None:
        quotes.append(batch)
        on_stored(batch)

    return Sink("quotes to the store", write, seconds=1.0, patient=True)
