"""What feeds count, added up over all of them: written every few seconds, read by whoever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Engine, Row, func, select
from sqlalchemy.dialects.postgresql import insert

from missiondesk.store.database import transaction
from models.feed_tables import feed_market
from models.quote import FeedFigures

SHOWN_FOR: Final = timedelta(days=1)
MOST_SHOWN: Final = 1000

_COUNTED: Final = ("messages", "quotes", "stored", "reconnects")


class FeedFiguresStore:
    """Raises DatabaseUnreachable when the server does not answer; then nothing of the call was written."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, figures: Sequence[FeedFigures]) -> None:
        """What was counted since the last time, in one statement."""
        if not figures:
            return
        draft = insert(feed_market).values([{**asdict(each), "reported_at": func.now()} for each in figures])
        known, new = feed_market.c, draft.excluded
        summed = {name: known[name] + new[name] for name in _COUNTED}
        newest = {"heard_at": func.greatest(known.heard_at, new.heard_at), "reported_at": new.reported_at}
        with transaction(self._engine) as connection:
            connection.execute(
                draft.on_conflict_do_update(
                    index_elements=[known.exchange, known.symbol],
                    set_={**summed, **newest, "stale_sides": new.stale_sides},
                )
            )

    def read(self) -> Sequence[tuple[FeedFigures, float]]:
        """Of each market that was fed within SHOWN_FOR, and the age of its newest quote in seconds."""
        age = func.extract("epoch", func.now() - feed_market.c.heard_at).label("age")
        lately = feed_market.c.reported_at > func.now() - SHOWN_FOR
        newest = select(feed_market, age).where(lately).order_by(feed_market.c.reported_at.desc())
        with self._engine.connect() as connection:
            rows = connection.execute(newest.limit(MOST_SHOWN)).all()
        return [(_figures(row), float("inf") if row.age is None else float(row.age)) for row in rows]


def _figures(row: Row[Any]) -> FeedFigures:
    return FeedFigures(
        row.exchange,
        row.symbol,
        row.messages,
        row.quotes,
        row.stored,
        row.reconnects,
        row.stale_sides,
        row.heard_at,
    )
