"""What the database does by itself, whoever writes: notify, audit, stamp, start afresh, keep the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg2
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from missiondesk.store.accounts import Accounts
from missiondesk.store.missions import Missions
from missiondesk.store.walks import Walks
from models.tables import audit_log, trade_order
from models.timer import Period

LEASE = 60.0


@pytest.fixture
def walks(engine: Engine) -> Walks:
    return Walks(engine)


@dataclass
class Ear:
    connection: psycopg2.extensions.connection

    def heard(self) -> set[int]:
        """The Missions announced since the last call. A commit's notifications come with the next answer."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        self.connection.poll()
        payloads = {int(notified.payload) for notified in self.connection.notifies}
        self.connection.notifies.clear()
        return payloads


@pytest.fixture
def ear(database_url: str) -> Iterator[Ear]:
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("LISTEN missiondesk_schedule")
    yield Ear(connection)
    connection.close()


class TestNotifications:
    def test_missions_that_come_change_and_go(self, rows, ear):
        mission_id = rows.mission("dip")
        other = rows.mission("other")
        assert ear.heard() == {mission_id, other}
        rows.sql("UPDATE mission SET crontab = '\"0 * * * *\"' WHERE name = 'dip'")
        assert ear.heard() == {mission_id}
        rows.sql("UPDATE mission SET crontab = crontab")
        assert ear.heard() == set()
        rows.sql("DELETE FROM mission WHERE name = 'dip'")
        assert ear.heard() == {mission_id}

    def test_a_tick_is_silent_unless_its_missionary_opens_changes_period_or_ends(self, walks, rows, ear):
        mission_id = rows.mission("dip", repeat=True)
        ear.heard()
        start = walks.begin("dip", "run-1", LEASE)
        assert ear.heard() == {mission_id}
        walks.renew(start.missionary.id, "run-1", LEASE)
        walks.take_period(start.missionary.id, "run-1", start.missionary.period)
        walks.record(start.missionary.id, "run-1", None, expected_index=0, advance=False, release=("A", "b"))
        walks.begin("dip", "run-1", LEASE)
        walks.release_by_holder("run-1")
        assert ear.heard() == set()
        walks.begin("dip", "run-1", LEASE)
        walks.take_period(start.missionary.id, "run-1", Period.ONE_DAY)
        assert ear.heard() == {mission_id}
        walks.finish(start.missionary.id, "run-1", "passed")
        assert ear.heard() == {mission_id}

    def test_a_whole_walk_is_silent(self, walks, rows, ear):
        rows.mission("sweep", walk="whole")
        ear.heard()
        start = walks.begin("sweep", "run-1", LEASE)
        walks.finish_whole(start.missionary.id, "run-1", "1 of 1 passed")
        assert ear.heard() == set()

    def test_a_task_speaks_for_every_mission_that_walks_it(self, walks, rows, ear):
        shared = rows.task("shared")
        queued = rows.mission("queued", task_ids=[shared])
        aimed = rows.mission("aimed", target=False, target_id=shared)
        walked = rows.mission("walked", task_ids=[shared])
        rows.mission("foreign", 1)
        walks.begin("walked", "run-1", LEASE)
        rows.sql("UPDATE mission SET task_ids = '{}' WHERE name = 'walked'")
        ear.heard()
        rows.sql("UPDATE task SET period = '4h' WHERE name = 'shared'")
        assert ear.heard() == {queued, aimed, walked}
        rows.sql("UPDATE task SET retries = 1, period = '4h' WHERE name = 'shared'")
        assert ear.heard() == set()
        rows.sql("UPDATE mission SET target_id = NULL WHERE name = 'aimed'")
        ear.heard()
        rows.sql("DELETE FROM task WHERE name = 'shared'")
        assert ear.heard() == {queued, walked}
        rows.sql(
            "INSERT INTO task (id, name, template) OVERRIDING SYSTEM VALUE VALUES (:id, 'shared', 'compare')",
            id=shared,
        )
        assert ear.heard() == {queued, walked}


class TestEnablingAgain:
    @pytest.fixture
    def missionary(self, walks, rows):
        """The released Missionary of a Mission that was then disabled."""
        rows.mission("dip", 2)
        opened = walks.begin("dip", "run-1", LEASE).missionary
        walks.release(opened.id, "run-1", None, None)
        rows.sql("UPDATE mission SET enabled = false")
        return opened

    def order(self, engine, missionary, status, filled=0):
        with engine.connect() as connection:
            connection.execute(
                trade_order.insert().values(
                    client_order_id="a",
                    missionary_id=missionary.id,
                    account="paper",
                    exchange="kraken",
                    symbol="BTC/USD",
                    side="buy",
                    type="market",
                    amount=1,
                    mode="paper",
                    status=status,
                    filled=filled,
                )
            )

    def test_by_plain_sql_ends_the_old_one(self, walks, rows, missionary):
        rows.sql("UPDATE mission SET enabled = true")
        assert rows.results(missionary.mission_id) == ["restarted"]
        assert walks.begin("dip", "run-2", LEASE).missionary.id != missionary.id

    @pytest.mark.parametrize(
        ("status", "filled", "kept"),
        [
            ("sent", 0, True),
            ("unknown", 0, True),
            ("open", 0, True),
            ("filled", 1, True),
            ("cancelled", "0.5", True),
            ("cancelled", 0, False),
            ("intent", 0, False),
            ("denied", 0, False),
        ],
    )
    def test_keeps_one_that_has_traded_or_may_have(self, engine, rows, missionary, status, filled, kept):
        self.order(engine, missionary, status, filled)
        rows.sql("UPDATE mission SET enabled = true")
        assert rows.results(missionary.mission_id) == ([None] if kept else ["restarted"])

    def test_through_the_store_opens_the_fresh_one_at_once(self, engine, rows, missionary):
        Missions(engine).enable("dip")
        assert rows.results(missionary.mission_id) == ["restarted", None]

    def test_enabling_an_enabled_one_changes_nothing(self, engine, rows, missionary):
        Missions(engine).enable("dip")
        Missions(engine).enable("dip")
        rows.sql("UPDATE mission SET enabled = true")
        assert rows.results(missionary.mission_id) == ["restarted", None]


class TestAudit:
    def entries(self, engine):
        with engine.connect() as connection:
            return list(connection.execute(select(audit_log).order_by(audit_log.c.id)))

    def test_plain_sql_is_told_by_its_user(self, engine, rows):
        task_id = rows.task("buy")
        rows.sql("UPDATE task SET period = '4h'")
        rows.sql("DELETE FROM task")
        came, changed, went = (entry for entry in self.entries(engine) if entry.table_name == "task")
        assert {entry.row_id for entry in (came, changed, went)} == {str(task_id)}
        assert {entry.changed_by for entry in (came, changed, went)} == {"postgres"}
        assert (came.before, came.after["name"]) == (None, "buy")
        assert (changed.before["period"], changed.after["period"]) == (None, "4h")
        assert (went.before["period"], went.after) == ("4h", None)

    def test_programs_name_whom_they_act_for(self, engine, rows):
        rows.mission("dip")
        Missions(engine, "console: ann").disable("dip")
        rows.sql("UPDATE account SET slippage = 0.02")
        *_, disabled, changed = self.entries(engine)
        assert (disabled.table_name, disabled.changed_by) == ("mission", "console: ann")
        assert (disabled.before["enabled"], disabled.after["enabled"]) == (True, False)
        assert (changed.table_name, changed.row_id, changed.changed_by) == ("account", "paper", "postgres")

    def test_a_tick_that_hands_over_is_named(self, engine, walks, rows):
        sell = rows.mission("sell", enabled=False)
        rows.mission("buy", next_mission_id=sell)
        start = walks.begin("buy", "run-1", LEASE)
        walks.finish(start.missionary.id, "run-1", "passed")
        assert [entry.changed_by for entry in self.entries(engine)[-2:]] == ["flow run run-1"] * 2

    def test_arming_is_on_record(self, engine):
        accounts = Accounts(engine, "cli: ann")
        accounts.save({"name": "paper", "max_order_notional": 100, "max_daily_loss": 50})
        accounts.arm("paper")
        armed = self.entries(engine)[-1]
        assert (armed.changed_by, armed.before["armed"], armed.after["armed"]) == ("cli: ann", False, True)

    def test_an_update_that_changes_nothing_leaves_no_entry(self, engine, rows):
        rows.mission("dip")
        before = self.entries(engine)
        rows.sql("UPDATE mission SET enabled = enabled")
        rows.sql("UPDATE mission SET updated_at = now()")
        assert self.entries(engine) == before


def test_rows_are_stamped_when_they_change_and_only_then(engine, rows):
    rows.mission("dip")
    missions = Missions(engine)
    first = missions.rows()[0]["updated_at"]
    rows.sql("UPDATE mission SET description = description")
    assert missions.rows()[0]["updated_at"] == first
    rows.sql("UPDATE mission SET description = 'new'")
    assert missions.rows()[0]["updated_at"] > first


@pytest.mark.parametrize(
    "rewriting",
    [
        "UPDATE result_log SET passed = true",
        "DELETE FROM result_log",
        "TRUNCATE result_log",
        "UPDATE audit_log SET changed_by = 'nobody'",
        "DELETE FROM audit_log",
    ],
)
def test_what_was_logged_is_never_rewritten(rows, rewriting):
    with pytest.raises(DBAPIError, match="_log is append-only"):
        rows.sql(rewriting)
