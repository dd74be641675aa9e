"""What is written every hour or second is kept for a while; nothing runs a second time because of that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from deployments.own_flows import PURGE_EXECUTIONS, PURGE_HISTORY
from missiondesk.retention import Purged, Retention, purge_history
from missiondesk.store.database import connect
from missiondesk.store.market.ledger import begin_step, end_step
from missiondesk.store.quotes import Quotes
from missiondesk.timed import timed_task
from missiondesk.timed.settings import TimedSettings
from models.errors import InvalidSetting
from models.quote import Quote

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("MISSIONDESK_DATABASE_URL", database_url)
    engine = connect(database_url)
    yield engine
    engine.dispose()


ran: list[int] = []


@timed_task(task="note", task_name="Note", flag="1", unique=["number"])
def note(executed_data: dict[int, list[dict[str, int]]]) -> None:
    ran.extend(item["number"] for items in executed_data.values() for item in items)


def numbers(engine: Engine) -> set[int]:
    with engine.connect() as connection:
        return set(connection.scalars(text("SELECT CAST(item ->> 'number' AS int) FROM timed_task")))


def age(engine: Engine, number: int, by: timedelta) -> None:
    """As if its row had been written that much earlier."""
    with engine.connect() as connection:
        connection.execute(
            text(
                "UPDATE timed_task SET executed_time = executed_time - :by, expires_at = expires_at - :by,"
                " finish_time = finish_time - :by WHERE item ->> 'number' = CAST(:number AS text)"
            ),
            {"by": by, "number": str(number)},
        )


def purged(engine: Engine, now: datetime = NOW) -> Purged:
    return purge_history(engine, Retention(), TimedSettings.load().window, now)


def test_refresh_steps_are_kept_for_thirty_days(engine: Engine) -> None:
    for days in (29, 31):
        begin_step(engine, f"{days} days ago", "ohlc", NOW - days * DAY)
        end_step(engine, f"{days} days ago", "ohlc", report={})
    assert purged(engine).refresh_steps == 1
    with engine.connect() as connection:
        assert connection.scalars(text("SELECT run FROM refresh_step")).all() == ["29 days ago"]
    assert purged(engine) == Purged(0, 0, 0)


def test_prices_are_kept_for_a_week(engine: Engine) -> None:
    one = Decimal(1)
    heard = [NOW - 8 * DAY, NOW - 6 * DAY, NOW]
    Quotes(engine).append([Quote("kraken", "BTC/USD", one, one, one, one, at, at) for at in heard])
    assert purged(engine).prices == 1
    left = Quotes(engine).between([("kraken", "BTC/USD")], NOW - 10 * DAY, NOW + DAY)
    assert [quote.received_at for quote in left] == heard[1:]


def test_timed_items_are_kept_for_ninety_days_after_they_ended(engine: Engine) -> None:
    for number, days in ((1, 89), (2, 91)):
        note({int(NOW.timestamp()): [{"number": number}]})
        age(engine, number, days * DAY)
    note({int((NOW + HOUR).timestamp()): [{"number": 3}]})  # pending for ever, say: no desk came
    age(engine, 3, 91 * DAY)
    assert purged(engine).timed_items == 1
    assert numbers(engine) == {1, 3}


def test_an_item_that_a_call_may_bring_again_stays(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    ran.clear()
    given = {int((NOW - 95 * DAY).timestamp()): [{"number": 1}]}
    monkeypatch.setenv("MISSIONDESK_TIMED_WINDOW_SECONDS", str(100 * 86400))
    assert note(given).ran == 1
    with engine.connect() as connection:  # as if it had run at its time, when the window was an hour
        connection.execute(
            text("UPDATE timed_task SET finish_time = executed_time, expires_at = executed_time + :hour"),
            {"hour": HOUR},
        )
    assert purged(engine).timed_items == 0
    assert note(given).skipped == 1
    monkeypatch.setenv("MISSIONDESK_TIMED_WINDOW_SECONDS", "3600")
    assert purged(engine).timed_items == 1
    assert note(given).outside == 1
    assert ran == [1]


def test_how_long_things_are_kept_is_set_in_the_environment() -> None:
    kept = Retention.load({"MISSIONDESK_KEEP_PRICES_DAYS": "0.5", "MISSIONDESK_KEEP_TIMED_ITEMS_DAYS": ""})
    assert (kept.refresh_steps, kept.timed_items, kept.prices) == (30, 90, 0.5)
    with pytest.raises(InvalidSetting, match="MISSIONDESK_KEEP_REFRESH_STEPS_DAYS"):
        Retention.load({"MISSIONDESK_KEEP_REFRESH_STEPS_DAYS": "0"})


def test_old_rows_go_daily_and_executions_on_mondays() -> None:
    assert [schedule.cron for schedule in PURGE_HISTORY.schedules] == ["47 3 * * *"]
    assert [schedule.cron for schedule in PURGE_EXECUTIONS.schedules] == ["37 3 * * 1"]
