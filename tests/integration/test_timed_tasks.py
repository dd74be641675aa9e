"""Timed tasks on a real database: what is run, when, how often, and what is written about it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select, text

from missiondesk.store.database import connect
from missiondesk.store.timed_desk import Attendance
from missiondesk.store.timed_tasks import TimedTasks
from missiondesk.timed import timed_task
from missiondesk.timed.instants import whole_second
from models.errors import DatabaseUnreachable, InputRefused, InvalidSetting
from models.timed import TimedStatus
from models.timed_tables import timed_task as table

TWO_O_CLOCK = datetime(2020, 10, 11, 2, 0, tzinfo=UTC)
AT_1_00, AT_2_00, AT_3_05 = 1602378000, 1602381600, 1602385500

HOSTILE = "'); DROP TABLE timed_task; --%s%(key)s:key{0}\\\"\N{SNOWMAN}"


@pytest.fixture
def engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("MISSIONDESK_DATABASE_URL", database_url)
    monkeypatch.setenv("MISSIONDESK_TIMED_LEASE_SECONDS", "2")
    opened = connect(database_url)
    yield opened
    opened.dispose()


def rows(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(table).order_by(table.c.executed_time, table.c.id)))


def statuses(engine: Engine) -> list[TimedStatus]:
    return [TimedStatus(row.status) for row in rows(engine)]


def sql(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.execute(text(statement))


class Recorder:
    """A timed task that remembers its calls; `failures` are raised by the first ones."""

    def __init__(self, *failures: BaseException, **options: Any) -> None:
        self.calls: list[Any] = []
        names = {"task": "push", "task_name": "The broadcast begins", "flag": "1", "unique": ["channel"]}

        def push(executed_data: Any, *args: Any, **kwargs: Any) -> int:
            self.calls.append((executed_data, *args, *kwargs.items()))
            if len(self.calls) <= len(failures):
                raise failures[len(self.calls) - 1]
            return len(self.calls)

        self.push = timed_task(**(names | options))(push)

    def at(self, now: datetime, *args: Any, **kwargs: Any) -> Any:
        return self.push.timed_task.call(now, *args, **kwargs)


class TestTheWindow:
    def test_at_two_o_clock_one_and_two_run_and_five_past_three_does_not(self, engine: Engine) -> None:
        recorder = Recorder()
        items_of_one = [{"channel": "A", "price": [12, 23]}, {"channel": "B", "price": [12, 23]}]
        executed_data = {
            AT_1_00: items_of_one,
            AT_2_00: [{"channel": "C", "price": [12, 23]}],
            AT_3_05: [{"channel": "D", "price": [12, 23]}],
        }
        outcome = recorder.at(TWO_O_CLOCK, executed_data, "extra", more=True)
        assert recorder.calls == [
            ({AT_1_00: items_of_one}, "extra", ("more", True)),
            ({AT_2_00: executed_data[AT_2_00]}, "extra", ("more", True)),
        ]
        assert (outcome.ran, outcome.outside, outcome.pending) == (3, 1, 0)
        assert outcome.results == {AT_1_00: 1, AT_2_00: 2}
        assert str(outcome) == "3 ran, 1 outside the window"
        assert statuses(engine) == [TimedStatus.SUCCESS] * 3
        for row in rows(engine):
            assert (row.task, row.task_name, row.flag) == ("push", "The broadcast begins", "1")
            assert row.finish_time is not None

    def test_the_window_is_a_setting(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MISSIONDESK_TIMED_WINDOW_SECONDS", "60")
        recorder = Recorder()
        assert recorder.at(TWO_O_CLOCK, {AT_1_00: [{"channel": "A"}]}).outside == 1
        assert recorder.at(TWO_O_CLOCK, {AT_2_00 - 60: [{"channel": "A"}]}).ran == 1

    def test_with_nothing_left_the_function_is_not_called(self, engine: Engine) -> None:
        recorder = Recorder()
        for executed_data in ({}, {AT_2_00: []}, {AT_3_05: [{"channel": "A"}]}):
            assert recorder.at(TWO_O_CLOCK, executed_data).results == {}
        assert recorder.calls == []
        assert rows(engine) == []

    def test_the_clock_of_a_plain_call_is_the_real_one(self, engine: Engine) -> None:
        recorder = Recorder()
        now = datetime.now(UTC)
        assert recorder.push({now: [{"channel": "A"}], AT_2_00: [{"channel": "A"}]}).ran == 1

    def test_what_waits_too_long_behind_slow_ones_expires(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MISSIONDESK_TIMED_WINDOW_SECONDS", "1")
        called: list[int] = []

        @timed_task(task="slow", task_name="", flag="", unique=["n"])
        def slow(executed_data: Any) -> None:
            called.append(next(iter(executed_data)))
            threading.Event().wait(2.2)

        outcome = slow.timed_task.call(TWO_O_CLOCK, {AT_2_00 - 1: [{"n": 1}], AT_2_00: [{"n": 1}]})
        assert (outcome.ran, outcome.expired, called) == (1, 1, [AT_2_00 - 1])
        assert statuses(engine) == [TimedStatus.SUCCESS, TimedStatus.EXPIRED]


class TestOnce:
    def test_an_item_that_succeeded_never_runs_again(self, engine: Engine) -> None:
        recorder = Recorder()
        data = {AT_2_00: [{"channel": "A"}]}
        assert recorder.at(TWO_O_CLOCK, data).ran == 1
        again = recorder.at(TWO_O_CLOCK, {AT_2_00: [{"channel": "A", "price": 9}, {"channel": "B"}]})
        assert (again.ran, again.skipped) == (1, 1)
        assert [call[0] for call in recorder.calls] == [data, {AT_2_00: [{"channel": "B"}]}]

    def test_another_flag_is_separate(self, engine: Engine) -> None:
        data = {AT_2_00: [{"channel": "A"}]}
        one, other = Recorder(flag="1"), Recorder(flag="2")
        assert (one.at(TWO_O_CLOCK, data).ran, other.at(TWO_O_CLOCK, data).ran) == (1, 1)

    def test_duplicates_in_one_call_are_one(self, engine: Engine) -> None:
        recorder = Recorder()
        spelled = TWO_O_CLOCK.isoformat()
        assert recorder.at(TWO_O_CLOCK, {AT_2_00: [{"channel": 1}] * 3, spelled: [{"channel": 1.0}]}).ran == 1
        assert recorder.calls == [({AT_2_00: [{"channel": 1}]},)]

    @pytest.mark.parametrize("times", [1, 3])
    def test_repeatable_hands_over_all_that_is_in_the_window(self, engine: Engine, times: int) -> None:
        recorder = Recorder(repeatable=True)
        data = {AT_1_00: [{"channel": "A"}], AT_2_00: [{"channel": "A"}] * 2, AT_3_05: [{"channel": "A"}]}
        for _ in range(times):
            assert recorder.at(TWO_O_CLOCK, data).ran == 2
        assert len(recorder.calls) == 2 * times
        assert statuses(engine) == [TimedStatus.SUCCESS] * 2

    def test_what_another_call_holds_is_left_to_it(self, engine: Engine) -> None:
        inner, recorder = Recorder(), Recorder()
        data = {AT_2_00: [{"channel": "A"}]}

        @timed_task(task="push", task_name="", flag="1", unique=["channel"])
        def outer(executed_data: Any) -> Any:
            return inner.at(TWO_O_CLOCK, data)

        outcome = outer.timed_task.call(TWO_O_CLOCK, data)
        assert outcome.results[AT_2_00].skipped == 1
        assert inner.calls == recorder.calls == []

    def test_a_call_that_outlasts_its_lease_keeps_it(self, engine: Engine) -> None:
        recorder = Recorder()
        data = {AT_2_00: [{"channel": "A"}]}

        @timed_task(task="push", task_name="", flag="1", unique=["channel"])
        def long(executed_data: Any) -> Any:
            threading.Event().wait(3)
            return recorder.at(TWO_O_CLOCK, data)

        assert long.timed_task.call(TWO_O_CLOCK, data).results[AT_2_00].skipped == 1
        assert statuses(engine) == [TimedStatus.SUCCESS]

    def test_what_another_took_over_meanwhile_is_not_handed_over(self, engine: Engine) -> None:
        """The first group took so long, without a sign of life, that its lease ran out."""
        calls: list[Any] = []

        @timed_task(task="push", task_name="", flag="1", unique=["channel"])
        def push(executed_data: Any) -> None:
            calls.append(executed_data)
            if len(calls) == 1:
                sql(engine, "UPDATE timed_task SET holder = 'other' WHERE item ->> 'channel' = 'B'")

        outcome = push.timed_task.call(
            TWO_O_CLOCK,
            {
                AT_1_00: [{"channel": "A"}],
                AT_1_00 + 60: [{"channel": "B"}],
                AT_2_00: [{"channel": "B"}, {"channel": "C"}],
            },
        )
        assert calls == [{AT_1_00: [{"channel": "A"}]}, {AT_2_00: [{"channel": "C"}]}]
        assert (outcome.ran, outcome.skipped) == (2, 2)
        assert [row.holder for row in rows(engine)] == [None, "other", "other", None]

    def test_a_call_without_items_says_what_is_missing(self, engine: Engine) -> None:
        @timed_task(task="push", task_name="", flag="1", unique=["channel"])
        def push(executed_data: Any = None, more: Any = 0) -> None: ...

        for arguments in ({}, {"more": 1}):
            with pytest.raises(InputRefused, match="'push': expected executed_data"):
                push(**arguments)


class TestFailures:
    def test_a_failed_item_is_tried_again_while_attempts_are_left(self, engine: Engine) -> None:
        recorder = Recorder(*[ValueError(f"no {HOSTILE}\0")] * 5)
        data = {AT_2_00: [{"channel": "A"}]}
        for attempt in range(1, 4):
            with pytest.raises(ValueError, match=r"^no"):
                recorder.at(TWO_O_CLOCK, data)
            (row,) = rows(engine)
            assert (row.status, row.attempts, row.holder) == (TimedStatus.FAILURE, attempt, None)
            assert row.problem.startswith("ValueError: no ")
            assert row.finish_time is not None
        assert recorder.at(TWO_O_CLOCK, data).skipped == 1
        assert len(recorder.calls) == 3

    def test_what_succeeds_in_the_end_is_a_success(self, engine: Engine) -> None:
        recorder = Recorder(ValueError("once"))
        data = {AT_2_00: [{"channel": "A"}]}
        with pytest.raises(ValueError, match="once"):
            recorder.at(TWO_O_CLOCK, data)
        assert recorder.at(TWO_O_CLOCK, data).ran == 1
        (row,) = rows(engine)
        assert (row.status, row.problem) == (TimedStatus.SUCCESS, "")

    def test_one_timestamp_that_fails_does_not_stop_the_others(self, engine: Engine) -> None:
        recorder = Recorder(ValueError("first"))
        with pytest.raises(ValueError, match="first"):
            recorder.at(TWO_O_CLOCK, {AT_1_00: [{"channel": "A"}], AT_2_00: [{"channel": "A"}]})
        assert statuses(engine) == [TimedStatus.FAILURE, TimedStatus.SUCCESS]

    def test_several_failures_are_all_told(self, engine: Engine) -> None:
        recorder = Recorder(ValueError("first"), KeyError("second"))
        with pytest.raises(ExceptionGroup) as raised:
            recorder.at(TWO_O_CLOCK, {AT_1_00: [{"channel": "A"}], AT_2_00: [{"channel": "A"}]})
        assert [type(each) for each in raised.value.exceptions] == [ValueError, KeyError]

    def test_an_interrupt_stops_at_once_and_is_a_failed_attempt(self, engine: Engine) -> None:
        recorder = Recorder(KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            recorder.at(TWO_O_CLOCK, {AT_1_00: [{"channel": "A"}], AT_2_00: [{"channel": "A"}]})
        assert len(recorder.calls) == 1
        assert rows(engine)[0].status == TimedStatus.FAILURE

    def test_a_function_that_raises_stop_iteration_has_failed(self, engine: Engine) -> None:
        with pytest.raises(StopIteration):
            Recorder(StopIteration()).at(TWO_O_CLOCK, {AT_2_00: [{"channel": "A"}]})
        assert statuses(engine) == [TimedStatus.FAILURE]

    def test_nothing_is_claimed_when_an_item_is_wrong(self, engine: Engine) -> None:
        recorder = Recorder()
        with pytest.raises(InputRefused, match=r"executed_data\[1602381600\]\[1\]\['channel'\]: expected"):
            recorder.at(TWO_O_CLOCK, {AT_1_00: [{"channel": "A"}], AT_2_00: [{"channel": "A"}, {}]})
        assert (recorder.calls, rows(engine)) == ([], [])

    def test_wrong_arguments_are_an_error_before_anything_is_claimed(self, engine: Engine) -> None:
        @timed_task(task="push", task_name="", flag="1", unique=["channel"])
        def push(executed_data: Any, place: str) -> None: ...

        with pytest.raises(TypeError, match="place"):
            push({AT_2_00: [{"channel": "A"}]})
        assert rows(engine) == []

    def test_an_unreachable_database_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MISSIONDESK_DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/desk")
        with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:1"):
            Recorder().at(TWO_O_CLOCK, {AT_2_00: [{"channel": "A"}]})


class TestWhatIsAhead:
    NOW = TWO_O_CLOCK - timedelta(minutes=30)

    def test_it_stays_pending_and_the_call_says_why(
        self, engine: Engine, caplog: pytest.LogCaptureFixture
    ) -> None:
        recorder = Recorder()
        with caplog.at_level(logging.WARNING):
            outcome = recorder.at(self.NOW, {AT_1_00: [{"channel": "A"}], AT_2_00: [{"channel": "A"}]})
        assert (outcome.ran, outcome.pending) == (1, 1)
        assert "no desk can import this function" in str(outcome)
        assert "1 item(s) are pending" in caplog.text
        assert statuses(engine) == [TimedStatus.SUCCESS, TimedStatus.PENDING]
        assert rows(engine)[1].attempts == 0

    def test_a_later_call_runs_it_at_its_time(self, engine: Engine) -> None:
        recorder = Recorder()
        data = {AT_2_00: [{"channel": "A"}]}
        for _ in range(2):
            assert recorder.at(self.NOW, data).pending == 1
        assert recorder.calls == []
        assert recorder.at(TWO_O_CLOCK, data).ran == 1
        assert recorder.at(TWO_O_CLOCK, data).skipped == 1

    def test_what_nobody_ran_in_time_expires(self, engine: Engine) -> None:
        recorder = Recorder()
        recorder.at(self.NOW, {AT_2_00: [{"channel": "A"}]})
        recorder.at(TWO_O_CLOCK + timedelta(hours=1), {})
        assert statuses(engine) == [TimedStatus.PENDING]
        recorder.at(TWO_O_CLOCK + timedelta(hours=1, seconds=1), {})
        (row,) = rows(engine)
        assert row.status == TimedStatus.EXPIRED
        assert row.finish_time is not None
        assert recorder.calls == []

    @pytest.mark.parametrize(
        ("item", "extra", "said"),
        [
            ({"channel": "A", "client": object()}, (), "item {'channel': 'A', 'client': <object"),
            ({"channel": "A", "price": float("nan")}, (), "expected plain JSON values"),
            ({"channel": "A"}, (object(),), "the arguments after executed_data: expected plain JSON values"),
        ],
    )
    def test_what_cannot_be_written_down_is_refused(
        self, engine: Engine, item: Any, extra: Any, said: str
    ) -> None:
        recorder = Recorder()
        with pytest.raises(InputRefused, match="nothing was run or claimed") as refused:
            recorder.at(self.NOW, {AT_1_00: [{"channel": "A"}], AT_2_00: [item]}, *extra)
        assert said in str(refused.value)
        assert (recorder.calls, rows(engine)) == ([], [])
        assert recorder.at(TWO_O_CLOCK, {AT_2_00: [item]}, *extra).ran == 1

    def test_whether_a_desk_runs_is_known(self, engine: Engine) -> None:
        first, second = Attendance(engine), Attendance(engine)
        assert first.held()
        assert first.held()
        assert not second.held()
        sql(
            engine,
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        with pytest.raises(DatabaseUnreachable):
            first.held()
        assert second.held()
        assert not first.held()
        second.close()
        assert first.held()
        first.close()


class TestForms:
    def test_an_async_function_is_awaited(self, engine: Engine) -> None:
        calls: list[Any] = []

        @timed_task(task="push", task_name="", flag="1", unique=["channel"])
        async def push(executed_data: Any, to: str) -> str:
            await asyncio.sleep(0)
            calls.append(executed_data)
            if len(calls) == 2:
                raise ValueError("second")
            return to

        async def both() -> None:
            now = int(datetime.now(UTC).timestamp())
            outcome = await push({now: [{"channel": "A"}]}, to="all")
            assert outcome.results == {now: "all"}
            with pytest.raises(ValueError, match="second"):
                await push({now: [{"channel": "B"}]}, to="all")

        asyncio.run(both())
        assert statuses(engine) == [TimedStatus.SUCCESS, TimedStatus.FAILURE]

    def test_executed_data_may_be_named_and_called_anything(self, engine: Engine) -> None:
        @timed_task(task="push", task_name="", flag="1", unique=["channel"])
        def push(data: Any, *, loud: bool = False) -> Any:
            return data, loud

        data = {AT_2_00: [{"channel": "A"}]}
        assert push.timed_task.call(TWO_O_CLOCK, data=data, loud=True).results == {AT_2_00: (data, True)}

    def test_sql_in_every_string_is_only_text(self, engine: Engine) -> None:
        recorder = Recorder(task=HOSTILE, task_name=HOSTILE, flag=HOSTILE, unique=[HOSTILE])
        item = {HOSTILE: HOSTILE, "other": f"{HOSTILE}\0\ud800"}
        outcome = recorder.at(TWO_O_CLOCK, {AT_2_00: [item], AT_2_00 + 60: [item]}, HOSTILE, word=HOSTILE)
        assert (outcome.ran, outcome.pending) == (1, 1)
        assert recorder.calls == [({AT_2_00: [item]}, HOSTILE, ("word", HOSTILE))]
        for row in rows(engine):
            assert (row.task, row.task_name, row.flag) == (HOSTILE,) * 3
            assert row.item == item
            assert row.call["args"] == [HOSTILE]

    def test_an_empty_database_is_migrated_first(
        self, postgres: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from missiondesk.store.administration import drop_database

        name = f"empty_{uuid4().hex}"
        postgres.create_database(name)
        monkeypatch.setenv("MISSIONDESK_DATABASE_URL", postgres.url(name))
        assert Recorder().at(TWO_O_CLOCK, {AT_2_00: [{"channel": "A"}]}).ran == 1
        drop_database(postgres.url("postgres"), name)

    def test_a_database_of_an_older_version_is_said(self, engine: Engine) -> None:
        sql(engine, "DROP TABLE timed_task")
        with pytest.raises(InvalidSetting, match="start `missiondesk up` once"):
            Recorder().at(TWO_O_CLOCK, {AT_2_00: [{"channel": "A"}]})


class TestSweeping:
    def test_an_item_whose_process_died_too_often_has_failed(self, engine: Engine) -> None:
        recorder, store = Recorder(), TimedTasks(engine)
        recorder.at(TWO_O_CLOCK, {AT_2_00: [{"channel": "A"}]})
        died = "UPDATE timed_task SET status = 0, holder = 'gone', lease_expires_at = now() - interval '1s'"
        sql(engine, f"{died}, attempts = 2")
        assert store.sweep(whole_second(TWO_O_CLOCK), 3) == 0
        sql(engine, f"{died}, attempts = 3")
        assert store.sweep(whole_second(TWO_O_CLOCK), 3) == 1
        (row,) = rows(engine)
        assert (row.status, row.problem, row.holder) == (TimedStatus.FAILURE, "its process died", None)

    def test_what_is_being_run_is_left_alone(self, engine: Engine) -> None:
        swept: list[int] = []

        @timed_task(task="push", task_name="", flag="1", unique=["channel"])
        def push(executed_data: Any) -> None:
            swept.append(TimedTasks(engine).sweep(TWO_O_CLOCK + timedelta(days=1), 1))

        push.timed_task.call(TWO_O_CLOCK, {AT_2_00: [{"channel": "A"}]})
        assert swept == [0]
