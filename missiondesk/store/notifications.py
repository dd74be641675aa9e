"""Notifications as rows, from the event that they tell of until each channel has taken them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ARRAY, Engine, Text, bindparam, text

from models.notification import Notification

LEASE = timedelta(seconds=60)
# What could not be delivered for so long is let go.
STALE = timedelta(days=1)
_MOST = 100


@dataclass(frozen=True)
class Batch:
    """What one channel is to take now, oldest first; not empty."""

    channel: str
    notifications: tuple[Notification, ...]

    @property
    def ids(self) -> list[int]:
        return [each.id for each in self.notifications]


class Notifications:
    """Each method is one statement. Nearly all rows are written by triggers, with what they tell of."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tick_failed(self, mission: str, problem: str) -> None:
        """The same problem of a Mission is told once an hour."""
        with self._engine.connect() as connection:
            connection.execute(_TICK_FAILED, {"mission": mission, "problem": problem})

    def route(self, default: Sequence[str]) -> None:
        """Note by which channels new notifications are to leave: those of their account, else `default`."""
        with self._engine.connect() as connection:
            connection.execute(_ROUTE, {"default": list(default)})

    def take(self, resting: Collection[str] = ()) -> Batch | None:
        """What is due on the channel that waits longest, but for those `resting`; None when nothing is.

        It is this caller's for a minute; unless it is said to be sent or failed by then it is due again.
        """
        given = {"resting": list(resting), "most": _MOST, "stale": STALE, "lease": LEASE}
        with self._engine.connect() as connection:
            rows = connection.execute(_TAKE, given).mappings().all()
        if not rows:
            return None
        return Batch(rows[0]["channel"], tuple(Notification.from_row({**row}) for row in rows))

    def sent(self, batch: Batch) -> None:
        with self._engine.connect() as connection:
            connection.execute(_SENT, {"channel": batch.channel, "ids": batch.ids})

    def failed(self, batch: Batch, problem: str) -> None:
        """They are due again after a minute, and after twice as long each time, up to an hour."""
        with self._engine.connect() as connection:
            connection.execute(_FAILED, {"channel": batch.channel, "ids": batch.ids, "problem": problem})


_TICK_FAILED = text("""
    INSERT INTO notification (key, kind, account, subject, body)
    VALUES (
        format('tick of %s failed %s in hour %s', CAST(:mission AS text), md5(:problem), this_hour()),
        'tick failed', (SELECT account FROM mission WHERE name = :mission),
        :mission || ': tick failed', :problem
    )
    ON CONFLICT (key) DO NOTHING
""")

_ROUTE = text("""
    WITH news AS (
        UPDATE notification SET routed_at = now()
        WHERE id IN (
            SELECT id FROM notification WHERE routed_at IS NULL ORDER BY id LIMIT 1000
            FOR UPDATE SKIP LOCKED
        )
        RETURNING id, account
    )
    INSERT INTO delivery (notification_id, channel)
    SELECT DISTINCT news.id, channel
    FROM news LEFT JOIN account ON account.name = news.account,
         unnest(coalesce(account.channels, :default)) AS channel
    WHERE channel <> ''
""").bindparams(bindparam("default", type_=ARRAY(Text)))

_TAKE = text("""
    WITH mine AS (
        SELECT notification_id, channel FROM delivery
        WHERE sent_at IS NULL AND next_try_at <= now() AND created_at > now() - :stale AND channel = (
            SELECT channel FROM delivery
            WHERE sent_at IS NULL AND next_try_at <= now() AND created_at > now() - :stale
              AND channel <> ALL (:resting)
            ORDER BY next_try_at LIMIT 1
        )
        ORDER BY notification_id LIMIT :most
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE delivery SET tries = tries + 1, next_try_at = now() + :lease
        FROM mine WHERE delivery.notification_id = mine.notification_id AND delivery.channel = mine.channel
        RETURNING delivery.notification_id, delivery.channel
    )
    SELECT channel, notification.* FROM taken JOIN notification ON id = notification_id ORDER BY id
""").bindparams(bindparam("resting", type_=ARRAY(Text)))

_SENT = text("""
    UPDATE delivery SET sent_at = now(), problem = ''
    WHERE channel = :channel AND notification_id = ANY (:ids)
""")

_FAILED = text("""
    UPDATE delivery
    SET problem = :problem,
        next_try_at = now() + least(interval '1 minute' * 2 ^ (tries - 1), interval '1 hour')
    WHERE channel = :channel AND notification_id = ANY (:ids)
""")
