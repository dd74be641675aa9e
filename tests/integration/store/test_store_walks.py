"""What a tick may write: it takes the lease, moves on, and ends, and without the lease it writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, event

from missiondesk.store.walks import Restarted, Walks
from models.errors import InvalidRow, LeaseLost, MissionDisabled, UnknownName
from models.result import Result, ResultType
from models.timer import Period

LEASE = 60.0


def result(start, index: int | None, *, passed: bool = True, kind: ResultType = ResultType.NORMAL) -> Result:
    walked = start.missionary
    task = start.tasks[walked.target_id if index is None else walked.task_ids[index]]
    role = "target" if index is None else "task"
    return Result(passed, "RULE", "as told", task.id, task.name, role, index, datetime.now(UTC), kind)


@pytest.fixture
def walks(engine: Engine) -> Walks:
    return Walks(engine)


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is sent to the database, as it is sent."""
    sent: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def count(connection, cursor, statement, parameters, context, executemany) -> None:
        sent.append(statement)

    yield sent


class TestBegin:
    def test_an_enabled_mission_gets_a_missionary_with_its_own_copies_and_the_lease(self, walks, rows):
        mission_id = rows.mission("dip", 2, account="paper", mode="live")
        start = walks.begin("dip", "run-1", LEASE)
        assert start.leased
        assert start.mission.id == mission_id
        assert start.missionary.task_ids == start.mission.task_ids
        assert start.missionary.target_id == start.mission.target_id
        assert (start.missionary.mode, start.missionary.account) == ("live", "paper")
        assert (start.missionary.next_index, start.missionary.holder) == (0, "run-1")
        assert {task.name for task in start.tasks.values()} == {"dip-0", "dip-1", "dip-target"}
        assert start.account.name == "paper"

    def test_it_is_one_statement_and_one_more_where_a_missionary_is_opened(self, walks, rows, statements):
        rows.mission("dip", 2)
        statements.clear()
        walks.begin("dip", "run-1", LEASE)
        assert len(statements) == 2
        walks.begin("dip", "run-1", LEASE)
        assert len(statements) == 3

    def test_a_mission_is_found_by_its_id_too(self, walks, rows):
        mission_id = rows.mission("dip")
        assert walks.begin(mission_id, "run-1", LEASE).mission.name == "dip"

    def test_an_unknown_mission_is_an_error_that_names_the_known_ones(self, walks, rows):
        rows.mission("dip")
        with pytest.raises(UnknownName, match=r"'dap'; existing: dip"):
            walks.begin("dap", "run-1", LEASE)

    @pytest.mark.parametrize(
        ("periods", "target", "first"),
        [
            ((), None, "1min"),
            ((), "4h", "4h"),
            ((None, None), None, "1min"),
            ((None, "1h"), "4h", "60min"),
            ((None,), "1d", "1day"),
        ],
    )
    def test_the_first_period_is_the_first_one_along_the_list(self, walks, rows, periods, target, first):
        queue = [rows.task(f"t{index}", period=period) for index, period in enumerate(periods)]
        rows.mission("dip", target=False, task_ids=queue, target_id=rows.task("aim", period=target))
        assert str(walks.begin("dip", "run-1", LEASE).missionary.period) == first

    def test_another_run_finds_who_holds_the_lease(self, walks, rows):
        rows.mission("dip")
        walks.begin("dip", "run-1", LEASE)
        start = walks.begin("dip", "run-2", LEASE)
        assert not start.leased
        assert start.missionary.holder == "run-1"

    def test_the_same_run_may_begin_again(self, walks, rows):
        rows.mission("dip")
        walks.begin("dip", "run-1", LEASE)
        assert walks.begin("dip", "run-1", LEASE).leased

    def test_a_lease_that_ran_out_is_taken_over(self, walks, rows):
        mission_id = rows.mission("dip", 1)
        first = walks.begin("dip", "run-1", LEASE)
        walks.record(first.missionary.id, "run-1", result(first, 0), expected_index=0, advance=True)
        rows.expire_leases()
        second = walks.begin("dip", "run-2", LEASE)
        assert second.leased
        assert second.taken_over_from == "run-1"
        assert second.missionary.next_index == 1
        assert len(rows.missionaries(mission_id)) == 1

    def test_a_disabled_mission_stays_untouched(self, walks, rows):
        mission_id = rows.mission("dip", enabled=False)
        start = walks.begin("dip", "run-1", LEASE)
        assert (start.mission.enabled, start.missionary, start.leased) == (False, None, False)
        assert rows.missionaries(mission_id) == []

    def test_disabling_ends_nothing(self, walks, rows):
        rows.mission("dip")
        opened = walks.begin("dip", "run-1", LEASE).missionary
        walks.release(opened.id, "run-1", None, None)
        rows.sql("UPDATE mission SET enabled = false")
        start = walks.begin("dip", "run-2", LEASE)
        assert (start.missionary.id, start.missionary.holder, start.leased) == (opened.id, None, False)

    @pytest.mark.parametrize(
        "edit", ["UPDATE mission SET timezone = 'Mars'", "UPDATE task SET period = '2min'"]
    )
    def test_a_disabled_mission_is_disabled_whatever_else_is_wrong(self, walks, rows, edit):
        mission_id = rows.mission("dip", enabled=False)
        rows.sql(edit)
        with pytest.raises(MissionDisabled, match="dip is disabled") as raised:
            walks.begin("dip", "run-1", LEASE)
        assert raised.value.mission_id == mission_id

    def test_edits_of_queue_target_mode_and_account_wait_for_the_next_missionary(self, walks, rows):
        rows.mission("dip", 2)
        before = walks.begin("dip", "run-1", LEASE).missionary
        rows.sql("INSERT INTO account (name) VALUES ('other')")
        rows.sql("UPDATE mission SET task_ids = '{}', mode = 'live', account = 'other'")
        after = walks.begin("dip", "run-1", LEASE)
        assert after.mission.task_ids == ()
        assert after.missionary.task_ids == before.task_ids
        assert (after.missionary.mode, after.account.name) == ("paper", "paper")

    def test_guards_bring_their_tasks_and_conditions(self, walks, rows):
        rows.task("calm")
        rows.sql("INSERT INTO condition (name, valid) VALUES ('stopped', true), ('other', true)")
        rows.mission("dip", can_run_before_each_task="!stopped", can_run_before_aim="calm")
        start = walks.begin("dip", "run-1", LEASE)
        assert start.conditions == {"stopped": True}
        assert {task.name for task in start.tasks.values()} == {"calm", "dip-target"}

    def test_amounts_of_the_account_keep_every_digit(self, walks, rows):
        rows.sql("UPDATE account SET max_order_notional = 12345678901234567.123456789")
        rows.mission("dip")
        account = walks.begin("dip", "run-1", LEASE).account
        assert str(account.max_order_notional) == "12345678901234567.123456789"

    @pytest.mark.parametrize(
        ("edit", "said"),
        [
            ("UPDATE mission SET timezone = 'Mars'", "mission 'dip' is not valid: timezone: expected"),
            ("UPDATE mission SET task_ids = '{4711}'", "task_ids: expected ids of existing tasks, got 4711"),
            ("UPDATE mission SET task_ids = '{{1,2}}'", r"mission 'dip' is not valid: task_ids\.0"),
            ("UPDATE mission SET account = 'none'", "account: expected the name of an existing account"),
            ("UPDATE task SET period = '2min'", "task 'dip-target' is not valid: period: expected a period"),
            ("UPDATE account SET slippage = 3", "account 'paper' is not valid: slippage"),
        ],
    )
    def test_a_bad_row_is_named_and_opens_nothing(self, walks, rows, edit, said):
        mission_id = rows.mission("dip")
        rows.sql(edit)
        with pytest.raises(InvalidRow, match=said):
            walks.begin("dip", "run-1", LEASE)
        assert rows.missionaries(mission_id) == []

    def test_a_row_that_went_bad_holds_its_missionary_with_the_reason_and_no_lease(self, walks, rows):
        mission_id = rows.mission("dip")
        walks.begin("dip", "run-1", LEASE)
        rows.sql("UPDATE task SET retries = -1")
        with pytest.raises(InvalidRow):
            walks.begin("dip", "run-1", LEASE)
        (walked,) = rows.missionaries(mission_id)
        assert (walked.holder, walked.hold_rule) == (None, "INVALID_ROW")
        assert "task 'dip-target' is not valid: retries" in walked.hold_reason

    def test_a_deleted_task_of_a_missionary_is_named_with_the_way_out(self, walks, rows):
        rows.mission("dip", 1)
        walks.begin("dip", "run-1", LEASE)
        rows.sql("UPDATE mission SET task_ids = '{}'")
        rows.sql("DELETE FROM task WHERE name = 'dip-0'")
        with pytest.raises(InvalidRow, match=r"walks tasks that are gone .*: restart it"):
            walks.begin("dip", "run-1", LEASE)


class TestWholeWalks:
    def test_what_a_dead_tick_left_is_ended_and_a_fresh_one_opened(self, walks, rows):
        mission_id = rows.mission("sweep", 2, walk="whole")
        first = walks.begin("sweep", "run-1", LEASE)
        walks.record(first.missionary.id, "run-1", result(first, 0), expected_index=0, advance=True)
        rows.expire_leases()
        second = walks.begin("sweep", "run-2", LEASE)
        assert (second.leased, second.missionary.next_index) == (True, 0)
        assert [row.result for row in rows.missionaries(mission_id)] == ["crashed", None]

    def test_a_reaped_one_too(self, walks, rows):
        mission_id = rows.mission("sweep", 2, walk="whole")
        walks.begin("sweep", "run-1", LEASE)
        walks.release_by_holder("run-1")
        assert walks.begin("sweep", "run-2", LEASE).leased
        assert [row.result for row in rows.missionaries(mission_id)] == ["crashed", None]

    def test_a_running_one_is_left_alone(self, walks, rows):
        mission_id = rows.mission("sweep", 2, walk="whole")
        walks.begin("sweep", "run-1", LEASE)
        assert not walks.begin("sweep", "run-2", LEASE).leased
        assert [row.result for row in rows.missionaries(mission_id)] == [None]

    def test_it_ends_with_its_tick_and_nothing_follows(self, walks, rows):
        mission_id = rows.mission("sweep", 1, walk="whole")
        start = walks.begin("sweep", "run-1", LEASE)
        walks.finish_whole(start.missionary.id, "run-1", "1 of 2 passed", result(start, None, passed=False))
        (ended,) = rows.missionaries(mission_id)
        assert ended.result == "1 of 2 passed"
        assert ended.ended_at is not None
        assert rows.enabled(mission_id)
        assert [row.role for row in rows.logged(ended.id)] == ["target"]


class TestRecord:
    def test_index_row_and_release_are_one_statement(self, walks, rows, statements):
        mission_id = rows.mission("dip", 1)
        start = walks.begin("dip", "run-1", LEASE)
        statements.clear()
        walks.record(
            start.missionary.id,
            "run-1",
            result(start, 0),
            expected_index=0,
            advance=True,
            release=("RSI", "RSI(14)=41.2"),
        )
        assert len(statements) == 1
        (walked,) = rows.missionaries(mission_id)
        assert (walked.next_index, walked.holder, walked.lease_expires_at) == (1, None, None)
        assert (walked.hold_rule, walked.hold_reason) == ("RSI", "RSI(14)=41.2")
        (row,) = rows.logged(walked.id)
        assert (row.mission_id, row.task_name, row.role, row.task_index) == (mission_id, "dip-0", "task", 0)
        assert (row.passed, row.rule, row.msg, row.flow_run_id) == (True, "RULE", "as told", "run-1")

    def test_a_no_of_the_target_is_recorded_without_an_index(self, walks, rows):
        rows.mission("dip")
        start = walks.begin("dip", "run-1", LEASE)
        no = result(start, None, passed=False)
        walks.record(start.missionary.id, "run-1", no, expected_index=0, advance=False)
        (row,) = rows.logged(start.missionary.id)
        assert (row.role, row.task_index, row.passed) == ("target", None, False)

    @pytest.mark.parametrize("kind", [ResultType.CANTRUN, ResultType.DEFAULT, None])
    def test_only_what_a_template_said_is_logged(self, walks, rows, kind):
        mission_id = rows.mission("dip", 1)
        start = walks.begin("dip", "run-1", LEASE)
        said = None if kind is None else result(start, 0, kind=kind)
        walks.record(start.missionary.id, "run-1", said, expected_index=0, advance=True)
        assert rows.logged(start.missionary.id) == []
        assert rows.missionaries(mission_id)[0].next_index == 1

    def test_at_another_index_nothing_is_written(self, walks, rows):
        mission_id = rows.mission("dip", 2)
        start = walks.begin("dip", "run-1", LEASE)
        with pytest.raises(LeaseLost, match="stands at index 0"):
            walks.record(start.missionary.id, "run-1", result(start, 1), expected_index=1, advance=True)
        assert rows.logged(start.missionary.id) == []
        assert rows.missionaries(mission_id)[0].next_index == 0


class TestLease:
    @pytest.fixture
    def lost(self, walks, rows):
        """The start of a tick whose lease another one has taken since."""
        rows.mission("dip", 1)
        start = walks.begin("dip", "run-1", LEASE)
        rows.expire_leases()
        walks.begin("dip", "run-2", LEASE)
        return start

    @pytest.mark.parametrize(
        "write",
        [
            lambda walks, start: walks.renew(start.missionary.id, "run-1", LEASE),
            lambda walks, start: walks.take_period(start.missionary.id, "run-1", Period.FOUR_HOURS),
            lambda walks, start: walks.release(start.missionary.id, "run-1", "A", "b"),
            lambda walks, start: walks.end(start.missionary.id, "expired", "run-1"),
            lambda walks, start: walks.finish(start.missionary.id, "run-1", "passed", result(start, None)),
            lambda walks, start: walks.finish_whole(start.missionary.id, "run-1", "1 of 2 passed"),
            lambda walks, start: walks.record(
                start.missionary.id, "run-1", result(start, 0), expected_index=0, advance=True
            ),
        ],
        ids=["renew", "take_period", "release", "end", "finish", "finish_whole", "record"],
    )
    def test_without_it_nothing_is_written(self, walks, rows, lost, write):
        before = rows.missionaries(lost.mission.id)
        with pytest.raises(LeaseLost, match="held by run-2 now, not by run-1"):
            write(walks, lost)
        assert rows.missionaries(lost.mission.id) == before
        assert rows.logged(lost.missionary.id) == []
        assert rows.enabled(lost.mission.id)

    def test_one_that_ran_out_is_kept_until_someone_takes_it(self, walks, rows):
        rows.mission("dip", 1)
        start = walks.begin("dip", "run-1", LEASE)
        rows.expire_leases()
        walks.renew(start.missionary.id, "run-1", LEASE)
        assert walks.reap() == []

    def test_the_reaper_clears_those_that_ran_out_alone(self, walks, rows):
        rows.mission("alive")
        rows.mission("dead")
        dead = walks.begin("dead", "run-2", LEASE)
        rows.expire_leases()
        alive = walks.begin("alive", "run-1", LEASE)
        (freed,) = walks.reap()
        assert (freed.missionary_id, freed.mission, freed.holder) == (dead.missionary.id, "dead", "run-2")
        walks.renew(alive.missionary.id, "run-1", LEASE)
        with pytest.raises(LeaseLost, match="held by nobody"):
            walks.renew(dead.missionary.id, "run-2", LEASE)

    def test_what_a_dead_run_held_is_freed_at_once(self, walks, rows):
        rows.mission("dip")
        walks.begin("dip", "run-1", LEASE)
        assert [freed.mission for freed in walks.release_by_holder("run-1")] == ["dip"]
        assert walks.release_by_holder("run-1") == []
        assert walks.begin("dip", "run-2", LEASE).leased

    def test_the_period_is_kept(self, walks, rows):
        rows.mission("dip")
        start = walks.begin("dip", "run-1", LEASE)
        walks.take_period(start.missionary.id, "run-1", Period.FOUR_HOURS)
        assert walks.begin("dip", "run-1", LEASE).missionary.period is Period.FOUR_HOURS


class TestEnd:
    def test_an_expired_one_is_followed_by_a_fresh_one_at_the_next_tick(self, walks, rows):
        mission_id = rows.mission("dip")
        start = walks.begin("dip", "run-1", LEASE)
        assert walks.end(start.missionary.id, "expired", "run-1")
        walks.begin("dip", "run-2", LEASE)
        assert [row.result for row in rows.missionaries(mission_id)] == ["expired", None]

    def test_ending_twice_says_so(self, walks, rows):
        rows.mission("dip")
        start = walks.begin("dip", "run-1", LEASE)
        assert walks.end(start.missionary.id, "expired")
        assert not walks.end(start.missionary.id, "expired")

    def test_a_restart_takes_the_rows_as_they_are_now_and_stops_a_running_tick(self, walks, rows):
        mission_id = rows.mission("dip", 2)
        start = walks.begin("dip", "run-1", LEASE)
        rows.sql("UPDATE mission SET task_ids = task_ids[1:1]")
        restarted = walks.restart("dip")
        assert restarted.ended == start.missionary.id
        assert len(restarted.opened.task_ids) == 1
        assert [row.result for row in rows.missionaries(mission_id)] == ["restarted", None]
        with pytest.raises(LeaseLost, match="has ended: restarted"):
            walks.record(start.missionary.id, "run-1", result(start, 0), expected_index=0, advance=True)

    @pytest.mark.parametrize("fields", [{"enabled": False}, {"walk": "whole"}, {"timezone": "Mars"}])
    def test_where_the_next_tick_opens_it_a_restart_opens_none(self, walks, rows, fields):
        mission_id = rows.mission("dip", **fields)
        assert walks.restart("dip") == Restarted(ended=None, opened=None)
        assert rows.missionaries(mission_id) == []
