"""The fetching step: new closed candles of one market in all its intervals, and what was missing before.

Order of sources, for each candle: the exchange's own; then the desk's candles of the nearest lower interval
that fits; then the exchange's public trades. What none of them has is listed as a gap, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from sqlalchemy import Engine

from missiondesk.exchanges.port import MarketData
from missiondesk.market.aggregate import aggregate, fits
from missiondesk.market.candles import (
    Candles,
    expected_last_open,
    opening_time,
    timeframe_milliseconds,
    to_datetime,
    to_milliseconds,
)
from missiondesk.refresh.settings import RefreshSettings
from missiondesk.refresh.trade_bars import candles_of_trades, trades_between
from missiondesk.store.database import transaction
from missiondesk.store.market.candles import Source, extents, read_candles, write_candles
from missiondesk.store.market.gaps import Gap, GapStatus, list_gaps, settle_gaps, untraded_open_times
from missiondesk.store.market.series import Series
from models.errors import UnknownName


@dataclass(frozen=True)
class Fetched:
    """What a fetch of one market did: candles served, rows that are new, rows that were corrected.

    gaps: absent candles by why they are absent. note: why nothing was fetched, if so.
    """

    symbol: str
    served: int = 0
    inserted: int = 0
    corrected: int = 0
    gaps: Mapping[GapStatus, int] | None = None
    note: str = ""


def fetch_market(
    engine: Engine, market: MarketData, series: Sequence[Series], now: datetime, settings: RefreshSettings
) -> Fetched:
    """Bring the candles of one symbol up to what is closed at `now`; series by interval, shortest first.

    Every answer is stored before the next request, so a repeated call goes on where the last one stopped.
    Raises ExchangeUnreachable and whatever else a port may.
    """
    with engine.connect() as connection:
        newest = {
            id: extent.newest for id, extent in extents(connection, [each.id for each in series]).items()
        }
    fetching = _Fetching(engine, market, now, settings, newest, Fetched(series[0].symbol))
    try:
        for each in series:
            fetching.fetch_new(each)
    except UnknownName as error:
        return replace(fetching.fetched, note=str(error))
    for place, each in enumerate(series):
        fetching.put_together(series[:place], each)
        fetching.fill_gaps(each)
    return replace(fetching.fetched, gaps=_counted(engine, series))


class _Fetching:
    """One symbol's fetch, and what it has done so far."""

    def __init__(
        self,
        engine: Engine,
        market: MarketData,
        now: datetime,
        settings: RefreshSettings,
        newest: dict[int, int],
        fetched: Fetched,
    ) -> None:
        self._engine, self._market, self._now, self._settings = engine, market, now, settings
        self._newest = newest
        self._changed_from: dict[int, int] = {}
        self.fetched = fetched

    def fetch_new(self, series: Series) -> None:
        """The candles that closed since the newest stored one, and a few before it once more."""
        if series.interval not in self._market.timeframes():
            return
        newest = self._newest.get(series.id)
        if newest is None:
            served = self._market.candles(
                series.symbol, series.interval, since=None, limit=self._settings.first_candles
            )
            self._store(series, served, "exchange")
            self._settle_served(series, served)
            return
        if expected_last_open(self._now, series.interval, newest) <= newest:
            return
        length = timeframe_milliseconds(series.interval)
        served = self._served(series, newest - self._settings.looked_at_again * length)
        self._store(series, served, "exchange")
        self._settle_served(series, served)

    def put_together(self, shorter: Sequence[Series], higher: Series) -> None:
        """Higher candles that the exchange did not serve, from lower ones; complete ones only.

        From the longest of the shorter intervals that fits: from its candles that changed, from all that are
        older or newer than the higher ones, and from those in new gaps of these.
        """
        if not shorter:
            return
        with self._engine.connect() as connection:
            ends = extents(connection, [each.id for each in (*shorter, higher)])
        grid = self._newest.get(higher.id)
        fitting = [
            each
            for each in shorter
            if each.id in ends and fits(ends[each.id].first, each.interval, higher.interval, grid)
        ]
        if not fitting:
            return
        lower = fitting[-1]
        first, length = ends[lower.id].first, timeframe_milliseconds(higher.interval)
        if higher.id not in ends:
            self._put_together(lower, higher, first, None)
            return
        older = opening_time(ends[higher.id].first - 1, higher.interval, grid)
        if opening_time(first - 1, higher.interval, grid) < older:
            self._put_together(lower, higher, first, ends[higher.id].first - 1)
        for gap in list_gaps(self._engine, [higher], GapStatus.NEW):
            self._put_together(lower, higher, gap.first, gap.last + length - 1)
        newer = ends[higher.id].newest + length
        since = min(newer, self._changed_from.get(lower.id, newer))
        self._put_together(lower, higher, opening_time(since, higher.interval, grid), None)

    def _put_together(self, lower: Series, higher: Series, start: int, until: int | None) -> None:
        """From the lower candles that opened between these times (ms), both inclusive."""
        grid = self._newest.get(higher.id)
        with self._engine.connect() as connection:
            [candles] = read_candles(connection, [lower], {lower.id: start - 1}, until)
            untraded = untraded_open_times(connection, lower, start)
        if not len(candles):
            return
        made = aggregate(candles, higher.interval, grid)
        times = made.candles.open_time
        ends = times + timeframe_milliseconds(higher.interval)
        excused = np.searchsorted(np.sort(untraded), ends) - np.searchsorted(np.sort(untraded), times)
        self._store(higher, made.candles[made.missing == excused], "lower")

    def fill_gaps(self, series: Series) -> None:
        """Look once for what is absent; what stays so is noted with the reason."""
        gaps = list_gaps(self._engine, [series], GapStatus.NEW)
        if not gaps:
            return
        length = timeframe_milliseconds(series.interval)
        if series.interval in self._market.timeframes():
            served = self._served(series, gaps[0].first - 2 * length)
            wanted = np.zeros(len(served), dtype=bool)
            for gap in gaps:
                wanted |= (served.open_time >= gap.first) & (served.open_time <= gap.last)
            self._store(series, served[wanted], "exchange")
            self._settle_served(series, served)
        pages = iter(range(self._settings.trade_pages))
        for place, gap in enumerate(list_gaps(self._engine, [series], GapStatus.NEW)):
            self._fill_from_trades(series, gap, pages, later=place > 0 and self._settings.trade_pages > 0)

    def _fill_from_trades(self, series: Series, gap: Gap, pages: Iterator[int], later: bool) -> None:
        """later: the pages may have gone into gaps before this one; then the next refresh asks."""
        length, first = timeframe_milliseconds(series.interval), gap.first
        passage = trades_between(
            self._market, series.symbol, series.interval, first, gap.last + length, pages
        )
        if passage is None or (passage.until == first and not later):
            self._settle(series, first, gap.last, GapStatus.OUT_OF_REACH)
            return
        made = candles_of_trades(passage.trades, series.interval, series.symbol, first)
        self._store(series, made, "trades")
        self._settle(series, first, passage.until - length, GapStatus.UNTRADED)

    def _served(self, series: Series, since: int) -> Candles:
        length = timeframe_milliseconds(series.interval)
        limit = 2 + (to_milliseconds(self._now) - since) // length
        return self._market.candles(series.symbol, series.interval, since=to_datetime(since), limit=limit)

    def _settle_served(self, series: Series, served: Candles) -> None:
        """What an answer spans and does not hold was not traded."""
        closed = served.closed_at(self._now)
        if len(closed):
            first, last = int(closed.open_time[0]), int(closed.open_time[-1])
            self._settle(series, first, last, GapStatus.UNTRADED)

    def _settle(self, series: Series, first: int, last: int, status: GapStatus) -> None:
        with transaction(self._engine) as connection:
            begins = settle_gaps(connection, series, first, last, status, self._now)
        if begins is not None:
            self._changed(series, begins)

    def _changed(self, series: Series, since: int) -> None:
        self._changed_from[series.id] = min(self._changed_from.get(series.id, since), since)

    def _store(self, series: Series, candles: Candles, source: Source) -> None:
        closed = candles.closed_at(self._now)
        with transaction(self._engine) as connection:
            written = write_candles(connection, [(series, closed)], source).get(series.id)
        if source == "exchange":
            self.fetched = replace(self.fetched, served=self.fetched.served + len(closed))
        if written is None:
            return
        newest = int(closed.open_time[-1])
        self._newest[series.id] = max(self._newest.get(series.id, newest), newest)
        self._changed(series, written.first_open_time)
        self.fetched = replace(
            self.fetched,
            inserted=self.fetched.inserted + written.inserted,
            corrected=self.fetched.corrected + written.updated,
        )


def _counted(engine: Engine, series: Sequence[Series]) -> dict[GapStatus, int]:
    gaps = list_gaps(engine, series)
    return {status: sum(gap.candles for gap in gaps if gap.status is status) for status in GapStatus}
