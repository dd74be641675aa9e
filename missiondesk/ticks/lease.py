"""Keeps a tick's lease alive while it works, so that only a dead tick's lease runs out."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from missiondesk.store.walks import Walks
from models.errors import LeaseLost, MissiondeskError
from models.missionary import MissionaryId

log = logging.getLogger(__name__)

LEASE_SECONDS = 45.0


class LeaseKeeper:
    """Renews a lease every third of its length from a thread of its own; leaving stops the thread.

    A lost lease is not announced: every write of the tick checks the holder by itself.
    """

    def __init__(
        self, walks: Walks, missionary_id: MissionaryId, holder: str, seconds: float = LEASE_SECONDS
    ) -> None:
        self._walks, self._missionary_id, self._holder = walks, missionary_id, holder
        self._seconds = seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(timeout=self._seconds)

    def _keep(self) -> None:
        while not self._done.wait(self._seconds / 3):
            try:
                self._walks.renew(self._missionary_id, self._holder, self._seconds)
            except LeaseLost:
                return
            except MissiondeskError as error:
                log.warning(
                    "lease of missionary %s not renewed, trying again: %s", self._missionary_id, error
                )
