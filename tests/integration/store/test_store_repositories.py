"""Conditions, members of sequences, the log, accounts and the overview."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from missiondesk.store.accounts import Accounts
from missiondesk.store.conditions import Conditions
from missiondesk.store.members import Members
from missiondesk.store.overview import mission_overview
from missiondesk.store.results import Results
from missiondesk.store.walks import Walks
from models.errors import InputRefused, InvalidRow, UnknownName
from models.order import LeafKey
from models.result import Result
from models.tables import trade_order

LEASE = 60.0


@pytest.fixture
def walks(engine: Engine) -> Walks:
    return Walks(engine)


class TestConditions:
    @pytest.fixture
    def conditions(self, engine: Engine) -> Conditions:
        return Conditions(engine)

    def test_the_first_reading_creates_it_as_false(self, conditions):
        assert conditions.read("stopped") is False
        assert conditions.all() == {"always_false": False, "always_true": True, "stopped": False}

    def test_what_is_written_is_read(self, conditions):
        for valid in (True, True, False):
            conditions.write("stopped", valid)
            assert conditions.read("stopped") is valid

    @pytest.mark.parametrize(("name", "valid"), [("always_true", True), ("always_false", False)])
    def test_the_built_in_ones_never_change(self, conditions, name, valid):
        with pytest.raises(InputRefused, match=f"{name} is built in"):
            conditions.write(name, not valid)
        assert conditions.read(name) is valid


class TestMembers:
    def test_a_passed_member_is_remembered_at_its_place_alone(self, engine, walks, rows):
        rows.mission("dip")
        members, missionary_id = Members(engine), walks.begin("dip", "run-1", LEASE).missionary.id
        in_task, in_target = (
            LeafKey(missionary_id, "task", 0, "1"),
            LeafKey(missionary_id, "target", None, "1"),
        )
        assert not members.has_passed(in_target)
        members.remember(in_target)
        members.remember(in_target)
        assert members.has_passed(in_target)
        assert not members.has_passed(in_task)
        assert not members.has_passed(LeafKey(missionary_id, "target", None, "1.0"))


class TestResults:
    @pytest.fixture
    def mission_id(self, walks, rows) -> int:
        """A Mission with five rows in its log: rules R0 … R4."""
        mission_id = rows.mission("dip", 1)
        start = walks.begin("dip", "run-1", LEASE)
        task = start.tasks[start.missionary.task_ids[0]]
        for number in range(5):
            said = Result(False, f"R{number}", "no", task.id, task.name, "task", 0, datetime.now(UTC))
            walks.record(start.missionary.id, "run-1", said, expected_index=0, advance=False)
        return mission_id

    def test_pages_go_from_the_newest_to_the_oldest(self, engine, mission_id):
        results = Results(engine)
        first = results.page("dip", 2)
        second = results.page("dip", 2, before=first[-1].id)
        third = results.page(mission_id, 2, before=second[-1].id)
        assert [row.result.rule for row in (*first, *second, *third)] == ["R4", "R3", "R2", "R1", "R0"]
        assert results.page("dip", 2, before=third[-1].id) == []
        assert results.count("dip") == 5

    def test_a_row_is_the_result_that_was_recorded(self, engine, mission_id):
        row = Results(engine).page("dip", 1)[0]
        assert (row.mission_id, row.flow_run_id) == (mission_id, "run-1")
        assert str(row.result) == "FAIL: R4 no"
        assert (row.result.role, row.result.task_index, row.result.task_name) == ("task", 0, "dip-0")

    def test_the_log_outlives_its_mission(self, engine, rows, mission_id):
        rows.sql("DELETE FROM mission")
        assert len(Results(engine).page(mission_id)) == 5
        with pytest.raises(UnknownName):
            Results(engine).page("dip")


class TestAccounts:
    @pytest.fixture
    def accounts(self, engine: Engine) -> Accounts:
        return Accounts(engine)

    def test_it_is_inserted_and_then_changed(self, accounts):
        accounts.save({"name": "main", "exchange": "kraken", "max_order_notional": Decimal("100.10")})
        saved = accounts.save({"name": "main", "max_daily_loss": 50})
        assert (saved.exchange, saved.max_order_notional, saved.max_daily_loss) == (
            "kraken",
            Decimal("100.10"),
            50,
        )
        assert accounts.get("main") == saved
        assert [account.name for account in accounts.all()] == ["main", "paper"]

    def test_arming_asks_for_the_limits(self, accounts):
        accounts.save({"name": "main"})
        with pytest.raises(InputRefused, match="armed without max_order_notional and max_daily_loss"):
            accounts.arm("main")
        accounts.save({"name": "main", "max_order_notional": 100, "max_daily_loss": 50})
        assert accounts.arm("main").armed
        assert not accounts.disarm("main").armed

    def test_an_armed_account_keeps_its_limits(self, accounts):
        accounts.save({"name": "main", "max_order_notional": 100, "max_daily_loss": 50})
        accounts.arm("main")
        with pytest.raises(InvalidRow, match="max_daily_loss: expected a limit while the account is armed"):
            accounts.save({"name": "main", "max_daily_loss": None})

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"armed": True}, "armed: expected arm or disarm to be used, got True"),
            ({"slippage": 2}, "slippage: Input should be less than 1"),
            ({"keys": "abc"}, "keys: expected a field among name, exchange"),
        ],
    )
    def test_what_is_not_valid_is_named(self, accounts, fields, said):
        with pytest.raises(InvalidRow, match=said):
            accounts.save({"name": "main", **fields})

    @pytest.mark.parametrize("verb", ["get", "arm", "disarm"])
    def test_an_unknown_one_is_told_which_exist(self, accounts, verb):
        with pytest.raises(UnknownName, match="unknown account 'main'; existing: paper"):
            getattr(accounts, verb)("main")


class TestOverview:
    def test_it_shows_what_is_going_on(self, engine, walks, rows):
        rows.mission("dip", 3, mode="live")
        start = walks.begin("dip", "run-1", LEASE)
        task = start.tasks[start.missionary.task_ids[0]]
        passed = Result(True, "RSI", "28 < 30", task.id, task.name, "task", 0, datetime.now(UTC))
        walks.record(
            start.missionary.id, "run-1", passed, expected_index=0, advance=True, release=("RSI", "41 >= 30")
        )
        order = {
            "missionary_id": start.missionary.id,
            "account": "paper",
            "exchange": "kraken",
            "symbol": "BTC/USD",
            "side": "buy",
            "type": "limit",
            "amount": 1,
            "mode": "live",
        }
        with engine.connect() as connection:
            for number, status in enumerate(["open", "sent", "filled", "denied"]):
                connection.execute(
                    trade_order.insert().values(order | {"client_order_id": str(number), "status": status})
                )
        (shown,) = mission_overview(engine)
        assert (shown.name, shown.enabled, shown.mode, shown.progress) == ("dip", True, "live", "1/3")
        assert (shown.missionary_id, shown.period, shown.running) == (start.missionary.id, "1min", False)
        assert (shown.hold_rule, shown.hold_reason, shown.open_orders) == ("RSI", "41 >= 30", 2)
        assert (shown.last_result.passed, shown.last_result.msg) == (True, "28 < 30")

    def test_a_mission_without_a_missionary_or_with_a_bad_row_is_shown_too(self, engine, rows):
        rows.mission("waiting", 2)
        rows.mission("bad", 1, timezone="Mars", enabled=False)
        bad, waiting = mission_overview(engine)
        assert (bad.name, bad.enabled) == ("bad", False)
        assert (waiting.missionary_id, waiting.progress, waiting.period) == (None, "0/2", None)
        assert (waiting.running, waiting.open_orders, waiting.last_result) == (False, 0, None)

    def test_a_walking_tick_shows_as_running(self, engine, walks, rows):
        rows.mission("dip")
        walks.begin("dip", "run-1", LEASE)
        assert mission_overview(engine)[0].running
        rows.expire_leases()
        assert not mission_overview(engine)[0].running
