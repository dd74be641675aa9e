"""Items under a lease: handed over group by group, each group's end written as soon as it comes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from missiondesk.store.timed_tasks import TimedTasks
from missiondesk.timed.instants import Place, place
from missiondesk.timed.items import Group
from missiondesk.timed.settings import TimedSettings
from models.errors import MissiondeskError
from models.timed import TimedStatus, Timestamp

log = logging.getLogger(__name__)


class Claimed:
    """Groups that `holder` has claimed as of `now`. Entering keeps their lease alive until leaving."""

    def __init__(
        self, store: TimedTasks, holder: str, groups: Sequence[Group], now: datetime, settings: TimedSettings
    ) -> None:
        self._store, self._holder, self._groups, self._settings = store, holder, groups, settings
        self._now, self._begun = now, time.monotonic()
        self._done = threading.Event()
        self._keeper = threading.Thread(target=self._keep_lease, name="timed-lease", daemon=True)
        self._errors: list[Exception] = []
        self.results: dict[Timestamp, Any] = {}
        self.ran = self.expired = self.lost = 0

    def __enter__(self) -> Claimed:
        if self._groups:
            self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._groups:
            self._keeper.join(timeout=self._settings.lease_seconds)

    def groups(self) -> Iterator[Group]:
        """What is still held, and whose time has not run out, when its turn comes."""
        for group in self._groups:
            now = self._now + timedelta(seconds=time.monotonic() - self._begun)
            if place(group.instant, now, self._settings.window) is Place.OUTSIDE:
                self._finish(group, TimedStatus.EXPIRED)
                self.expired += len(group.items)
            elif (held := self._held(group)).items:
                yield held

    @contextmanager
    def running(self, group: Group) -> Iterator[None]:
        """Around the call for a group. An exception is its failure; the other groups still get their turn."""
        try:
            yield
        except BaseException as error:
            self._finish(group, TimedStatus.FAILURE, f"{type(error).__name__}: {error}")
            if not isinstance(error, Exception):
                raise
            self._errors.append(error)
        else:
            self._finish(group, TimedStatus.SUCCESS)
            self.ran += len(group.items)

    def raise_failure(self) -> None:
        """What the calls raised: the one exception, or an ExceptionGroup of several."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise ExceptionGroup(f"{len(self._errors)} timestamps failed", self._errors)

    def _held(self, group: Group) -> Group:
        held = group.only(self._store.hold(group.items.keys(), self._holder, self._settings.lease_seconds))
        if lost := len(group.items) - len(held.items):
            self.lost += lost
            log.warning(
                "timed task: the lease of %d item(s) of %s ran out before their turn", lost, group.instant
            )
        return held

    def _finish(self, group: Group, status: TimedStatus, problem: str = "") -> None:
        lost = len(group.items) - self._store.finish(group.items.keys(), self._holder, status, problem)
        if lost:
            log.warning(
                "timed task: the lease of %d item(s) of %s ran out before they ended; another may run them",
                lost,
                group.instant,
            )

    def _keep_lease(self) -> None:
        while not self._done.wait(self._settings.lease_seconds / 3):
            try:
                self._store.renew(self._holder, self._settings.lease_seconds)
            except MissiondeskError as error:
                log.warning("timed task: lease not renewed, trying again: %s", error)
