"""Whole ticks on a real database: who may run, how far they come, and what they leave written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from missiondesk.desk import Desk
from missiondesk.settings import Settings
from missiondesk.templates.checks import check
from missiondesk.templates.context import Context
from missiondesk.templates.params import Params
from missiondesk.templates.registry import template
from missiondesk.templates.run import try_template
from missiondesk.templates.validation import check_task
from missiondesk.ticks.outcome import TickOutcome
from missiondesk.ticks.tick import Run, run_tick
from models.errors import DataStale, InputRefused, InvalidRow, UnknownName
from models.mission import MissionTask
from models.result import Verdict
from tests.waiting import PATIENCE_SECONDS

FULL_HOUR = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


@dataclass
class Ticks:
    """Missions of Conditions, and ticks of them at any instant."""

    desk: Desk
    now: datetime = FULL_HOUR
    attempting: Callable[[MissionTask, Context], Verdict] = field(
        default=lambda task, context: try_template(context, task)
    )

    def mission(self, name: str, queue: list[str], target: str | None = None, **fields: Any) -> int:
        """`queue` names Conditions; "stop every 60min" gives the step its period."""
        ids = [self.step(f"{name} {place} {text}", text) for place, text in enumerate(queue)]
        target_id = self.step(f"{name} target {target}", target) if target else None
        saved = self.desk.missions.save({"name": name, "task_ids": ids, "target_id": target_id, **fields})
        return saved.id

    def step(self, name: str, told: str) -> int:
        condition, _, period = told.partition(" every ")
        fields = {
            "name": name,
            "template": "condition_is",
            "params": {"condition": condition, "valid": True},
            "period": period or None,
        }
        return self.desk.missions.save_task(fields, check_task).id

    def say(self, **conditions: bool) -> None:
        for name, valid in conditions.items():
            self.desk.conditions.write(name, valid)

    def tick(self, name: str | int, *, late: float = 0, ad_hoc: bool = False) -> TickOutcome:
        run = Run(str(uuid4()), self.now - timedelta(seconds=late), ad_hoc)
        return run_tick(self.desk, name, run, self.attempting, clock=lambda: self.now)

    def sql(self, statement: str, **given: Any) -> list[Any]:
        with self.desk.engine.connect() as connection:
            found = connection.execute(text(statement), given)
            return list(found) if found.returns_rows else []

    def rows(self) -> list[tuple[str, str, bool]]:
        return [tuple(row) for row in self.sql("SELECT role, task_name, passed FROM result_log ORDER BY id")]


@pytest.fixture
def ticks(database_url: str, tmp_path: Any) -> Iterator[Ticks]:
    settings = Settings.load({"MISSIONDESK_HOME": str(tmp_path), "MISSIONDESK_DATABASE_URL": database_url})
    desk = Desk(settings, lambda account: None)
    yield Ticks(desk)
    desk.engine.dispose()


def test_a_tick_walks_until_the_first_no_and_the_next_one_resumes(ticks: Ticks) -> None:
    ticks.mission("m", ["a", "b", "c"], "d")
    ticks.say(a=True)
    first = ticks.tick("m")
    assert (first.ending, first.progress) == ("Waiting", "1/3")
    assert ticks.rows() == [("task", "m 0 a", True), ("task", "m 1 b", False)]
    ticks.say(b=True, c=True, d=True)
    second = ticks.tick("m")
    assert (second.ending, second.progress) == ("Finished", "3/3")
    assert [row[1] for row in ticks.rows()[2:]] == ["m 1 b", "m 2 c", "m target d"]


def test_without_a_target_passing_the_last_task_finishes(ticks: Ticks) -> None:
    ticks.mission("m", ["a"])
    ticks.say(a=True)
    assert ticks.tick("m").ending == "Finished"
    assert ticks.sql("SELECT enabled FROM mission") == [(False,)]


def test_an_empty_queue_goes_straight_to_the_target(ticks: Ticks) -> None:
    ticks.mission("m", [], "a every 60min")
    ticks.say(a=True)
    assert ticks.tick("m").ending == "Finished"


def test_a_disabled_mission_changes_nothing_and_says_so(ticks: Ticks) -> None:
    ticks.mission("m", ["a"], enabled=False)
    outcome = ticks.tick("m")
    assert outcome.ending == "Disabled"
    assert "disabled" in outcome.message
    assert ticks.sql("SELECT 1 FROM missionary") == []


def test_a_disabled_mission_says_so_whatever_else_is_wrong(ticks: Ticks) -> None:
    ticks.mission("m", ["a"], enabled=False)
    ticks.sql("UPDATE task SET period = 'sometimes'")
    outcome = ticks.tick("m")
    assert (outcome.ending, outcome.mission) == ("Disabled", "m")


def test_an_unknown_mission_names_those_that_exist(ticks: Ticks) -> None:
    ticks.mission("known", ["a"])
    with pytest.raises(UnknownName, match="known"):
        ticks.tick("unknown")


def test_a_mission_runs_by_its_id(ticks: Ticks) -> None:
    assert ticks.tick(ticks.mission("m", ["a"])).mission == "m"


def test_a_guard_is_asked_before_each_task(ticks: Ticks) -> None:
    ticks.mission("m", ["a", "b"], can_run_before_each_task="!stopped")
    ticks.say(a=True, b=True, stopped=True)
    held = ticks.tick("m")
    assert (held.ending, held.progress) == ("Waiting", "0/2")
    assert "stopped" in held.message
    assert ticks.rows() == []
    ticks.say(stopped=False)
    assert ticks.tick("m").ending == "Finished"


def test_a_guard_that_names_a_condition_nobody_made_says_no_and_makes_it(ticks: Ticks) -> None:
    ticks.mission("m", ["a"], can_run_before_each_task="brand new")
    assert "brand new" in ticks.tick("m").message
    assert ticks.desk.conditions.all()["brand new"] is False


def test_an_aim_guard_may_name_a_task(ticks: Ticks) -> None:
    ticks.step("open for business", "open")
    ticks.mission("m", [], "a", can_run_before_aim="open for business")
    ticks.say(a=True)
    assert "open for business" in ticks.tick("m").message
    ticks.say(open=True)
    assert ticks.tick("m").ending == "Finished"


def test_a_precondition_holds_its_own_task(ticks: Ticks) -> None:
    ticks.mission("m", ["a"])
    ticks.sql("UPDATE task SET can_run = 'market open'")
    ticks.say(a=True)
    assert "market open" in ticks.tick("m").message
    assert ticks.rows() == []


def test_the_missionary_keeps_the_period_of_the_task_it_waits_for(ticks: Ticks) -> None:
    ticks.mission("m", ["a every 1min", "b every 60min"])
    ticks.say(a=True, b=True)
    held = ticks.tick("m")
    assert (held.rule, held.period) == ("NOT_DUE", "60min")
    assert ticks.sql("SELECT period FROM missionary") == [("60min",)]
    ticks.now = FULL_HOUR + timedelta(minutes=1)
    assert ticks.tick("m").rule == "NOT_DUE"
    ticks.now = FULL_HOUR + timedelta(hours=1)
    assert ticks.tick("m").ending == "Finished"


def test_an_edit_of_the_queue_waits_for_the_next_missionary(ticks: Ticks) -> None:
    ticks.mission("m", ["a", "b"], repeat=True)
    ticks.say(a=True)
    ticks.tick("m")
    other = ticks.step("other", "c")
    ticks.desk.missions.save({"name": "m", "task_ids": [other]})
    assert ticks.tick("m").progress == "1/2"
    ticks.desk.walks.restart("m")
    assert ticks.tick("m").progress == "0/1"


def test_a_chain_hands_over_and_comes_back(ticks: Ticks) -> None:
    ticks.mission("buy", ["a"])
    ticks.mission("sell", ["b"], enabled=False)
    for name, following in (("buy", "sell"), ("sell", "buy")):
        ticks.desk.missions.save({"name": name, "next_mission_id": ticks.desk.missions.get(following).id})
    ticks.say(a=True, b=True)
    assert "sell" in ticks.tick("buy").message
    assert ticks.tick("buy").ending == "Disabled"
    assert "buy" in ticks.tick("sell").message
    assert ticks.sql("SELECT name FROM mission WHERE enabled") == [("buy",)]


def test_repeat_opens_a_fresh_missionary(ticks: Ticks) -> None:
    ticks.mission("m", ["a"], repeat=True)
    ticks.say(a=True)
    first, second = ticks.tick("m"), ticks.tick("m")
    assert first.ending == second.ending == "Finished"
    assert first.missionary_id != second.missionary_id


def test_a_whole_walk_notes_every_no_and_goes_on(ticks: Ticks) -> None:
    ticks.mission("w", ["a", "b", "c"], "d", walk="whole")
    ticks.say(a=True, c=True)
    outcome = ticks.tick("w")
    assert (outcome.ending, outcome.message) == ("Finished", "2 of 4 passed")
    assert [row[2] for row in ticks.rows()] == [True, False, True, False]
    assert ticks.sql("SELECT result FROM missionary") == [("2 of 4 passed",)]
    assert ticks.tick("w").missionary_id != outcome.missionary_id


def test_a_whole_walk_stops_at_a_no_if_it_is_told_to(ticks: Ticks) -> None:
    ticks.mission("w", ["a", "b", "c"], walk="whole", stop_on_fail=True)
    ticks.say(a=True, c=True)
    assert ticks.tick("w").message == "1 of 3 passed"
    assert len(ticks.rows()) == 2


def test_a_whole_walk_that_died_is_ended_as_crashed(ticks: Ticks) -> None:
    ticks.mission("w", ["a"], walk="whole")
    dead = ticks.desk.walks.begin("w", "a dead run", -1).missionary
    assert dead is not None
    assert ticks.tick("w").missionary_id != dead.id
    assert ticks.sql("SELECT result FROM missionary WHERE id = :id", id=dead.id) == [("crashed",)]


def test_what_is_left_after_retries_is_an_error_row_and_a_failed_tick(ticks: Ticks) -> None:
    ticks.mission("m", ["a", "b"])
    ticks.say(a=True, b=True)

    def broken(task: MissionTask, context: Context) -> Verdict:
        if task.name == "m 1 b":
            raise ConnectionError("the wire is cut")
        return try_template(context, task)

    ticks.attempting = broken
    outcome = ticks.tick("m")
    assert (outcome.ending, outcome.progress) == ("Failed", "1/2")
    assert "the wire is cut" in outcome.message
    assert ticks.sql("SELECT rule, msg FROM result_log WHERE NOT passed") == [("ERROR", "the wire is cut")]
    ticks.attempting = lambda task, context: try_template(context, task)
    assert ticks.tick("m").ending == "Finished"


def test_a_bad_row_stops_its_mission_alone_and_names_the_field(ticks: Ticks) -> None:
    ticks.mission("bad", ["a"])
    ticks.mission("good", ["b"])
    ticks.say(b=True)
    ticks.sql("UPDATE task SET period = 'sometimes' WHERE name = 'bad 0 a'")
    with pytest.raises(InvalidRow, match=r"bad 0 a.*period.*1min, 5min.*sometimes"):
        ticks.tick("bad")
    assert ticks.tick("good").ending == "Finished"


def test_a_late_tick_is_skipped(ticks: Ticks) -> None:
    ticks.mission("m", ["a every 60min"], max_lateness_seconds=120)
    ticks.say(a=True)
    ticks.now = FULL_HOUR + timedelta(seconds=121)
    outcome = ticks.tick("m", late=121)
    assert outcome.ending == "Skipped"
    assert outcome.message.startswith("late")
    ticks.now = FULL_HOUR + timedelta(seconds=119)
    assert ticks.tick("m", late=119).ending == "Finished"


@pytest.mark.parametrize(("policy", "endings"), [("skip", "SS"), ("latest", "SF"), ("all", "FF")])
def test_missed_ticks_follow_the_policy(ticks: Ticks, policy: str, endings: str) -> None:
    """Two hourly-quarter ticks were missed; the desk is back 70 s after the second."""
    ticks.mission("m", ["a every 5min"], missed_runs=policy, max_lateness_seconds=3600, repeat=True)
    ticks.say(a=True)
    ticks.now = FULL_HOUR + timedelta(seconds=70)
    assert "".join(ticks.tick("m", late=late).ending[0] for late in (370, 70)) == endings


def test_ad_hoc_ticks_are_never_late(ticks: Ticks) -> None:
    ticks.mission("m", ["a every 1day"], missed_runs="skip")
    ticks.say(a=True)
    assert ticks.tick("m", late=10_000, ad_hoc=True).ending == "Finished"


def test_a_tick_that_meets_a_running_one_is_skipped(ticks: Ticks) -> None:
    ticks.mission("m", ["a"])
    ticks.desk.walks.begin("m", "another run", 60)
    outcome = ticks.tick("m")
    assert outcome.ending == "Skipped"
    assert "another run" in outcome.message


def test_a_queued_tick_waits_for_the_running_one(ticks: Ticks) -> None:
    ticks.mission("m", ["a"], overlap="queue", repeat=True)
    ticks.say(a=True)
    running = ticks.desk.walks.begin("m", "another run", 60).missionary
    assert running is not None
    outcomes: list[TickOutcome] = []
    queued = threading.Thread(target=lambda: outcomes.append(ticks.tick("m")))
    queued.start()
    queued.join(timeout=1)
    assert queued.is_alive()
    ticks.desk.walks.release(running.id, "another run", None, None)
    queued.join(timeout=PATIENCE_SECONDS)
    assert [each.ending for each in outcomes] == ["Finished"]


def test_a_queued_tick_waits_as_long_as_it_may_be_late(ticks: Ticks) -> None:
    """Each look at the clock is a minute after the one before; the running tick ends at the fourth."""
    ticks.mission("m", ["a"], overlap="queue", missed_runs="skip", max_lateness_seconds=600)
    ticks.say(a=True)
    running = ticks.desk.walks.begin("m", "another run", 60).missionary
    assert running is not None
    looks = 0

    def clock() -> datetime:
        nonlocal looks
        looks += 1
        if looks == 4:
            ticks.desk.walks.release(running.id, "another run", None, None)
        return FULL_HOUR + timedelta(minutes=looks - 1)

    run = Run(str(uuid4()), FULL_HOUR, ad_hoc=False)
    assert run_tick(ticks.desk, "m", run, ticks.attempting, clock=clock).ending == "Finished"


def test_a_queued_tick_stops_waiting_when_it_is_too_late(ticks: Ticks) -> None:
    ticks.mission("m", ["a"], overlap="queue", missed_runs="all", max_lateness_seconds=90)
    ticks.desk.walks.begin("m", "another run", 60)
    instants = iter([FULL_HOUR, FULL_HOUR, FULL_HOUR, FULL_HOUR + timedelta(seconds=91)])
    run = Run(str(uuid4()), FULL_HOUR, ad_hoc=False)
    outcome = run_tick(ticks.desk, "m", run, ticks.attempting, clock=lambda: next(instants))
    assert (outcome.ending, outcome.rule) == ("Skipped", "LATE")


@template("tells_too_much", kind="data")
def tells_too_much(context: Context, params: Params) -> Verdict:
    """Its message names an argument that it does not give."""
    return Verdict(True, "SAID", "close {close}", {"open": 1})


def test_a_message_that_can_not_be_told_is_an_error_row_of_its_task(ticks: Ticks) -> None:
    ticks.mission("m", ["a"])
    ticks.sql("UPDATE task SET template = 'tells_too_much', params = '{}'")
    assert ticks.tick("m").ending == "Failed"
    ((rule, said),) = ticks.sql("SELECT rule, msg FROM result_log")
    assert rule == "ERROR"
    assert "template tells_too_much" in said
    assert "close" in said


def test_a_check_without_its_data_is_waited_for(ticks: Ticks) -> None:
    def stale(context: Context) -> Verdict:
        raise DataStale("no candle of 04:00 yet")

    check("freshness of prices")(stale)
    ticks.mission("m", ["a"])
    ticks.sql("UPDATE task SET can_run = 'freshness of prices'")
    outcome = ticks.tick("m")
    assert (outcome.ending, outcome.rule) == ("Waiting", "DATA_STALE")
    assert "no candle of 04:00" in outcome.message


def test_a_guard_that_is_refused_says_why_on_the_missionary(ticks: Ticks) -> None:
    ticks.mission("m", ["a"], can_run_before_each_task="m 0 a")
    ticks.say(**{"m 0 a": True})
    with pytest.raises(InputRefused):
        ticks.tick("m")
    ((rule, reason, holder),) = ticks.sql("SELECT hold_rule, hold_reason, holder FROM missionary")
    assert (rule, holder) == ("ERROR", None)
    assert "a name that both have" in reason


def test_whatever_breaks_a_tick_off_gives_the_lease_back(ticks: Ticks) -> None:
    """Here the clock breaks: at the first look after the lease is taken, before the walk begins."""
    ticks.mission("m", ["a"])
    looks = iter([FULL_HOUR])
    with pytest.raises(StopIteration):
        run_tick(ticks.desk, "m", Run("r", FULL_HOUR, False), ticks.attempting, clock=lambda: next(looks))
    assert ticks.sql("SELECT holder, hold_reason FROM missionary") == [
        (None, "the tick broke off: StopIteration")
    ]


def test_a_dead_ticks_lease_is_taken_over(ticks: Ticks) -> None:
    ticks.mission("m", ["a"])
    ticks.say(a=True)
    ticks.desk.walks.begin("m", "a dead run", -1)
    assert ticks.tick("m").ending == "Finished"


def test_a_tick_that_lost_its_lease_writes_nothing_more(ticks: Ticks) -> None:
    ticks.mission("m", ["a", "b"])
    ticks.say(a=True, b=True)

    def robbed(task: MissionTask, context: Context) -> Verdict:
        if task.name == "m 1 b":
            ticks.sql("UPDATE missionary SET holder = 'thief'")
        return try_template(context, task)

    ticks.attempting = robbed
    outcome = ticks.tick("m")
    assert outcome.ending == "Skipped"
    assert "thief" in outcome.message
    assert ticks.rows() == [("task", "m 0 a", True)]


def test_an_expired_missionary_ends_and_a_fresh_one_follows(ticks: Ticks) -> None:
    ticks.mission("m", ["a"], expires_after_seconds=60)
    ticks.now = datetime.now(UTC)
    first = ticks.tick("m", ad_hoc=True)
    ticks.now += timedelta(seconds=61)
    expired = ticks.tick("m")
    assert expired.ending == "Expired", expired
    assert ticks.sql("SELECT result FROM missionary WHERE ended_at IS NOT NULL") == [("expired",)]
    assert ticks.tick("m").missionary_id != first.missionary_id


def test_a_tick_that_ends_at_its_first_no_is_a_few_statements(ticks: Ticks) -> None:
    ticks.mission("m", ["a"], can_run_before_each_task="always_true")
    ticks.tick("m")
    sent: list[str] = []
    event.listen(ticks.desk.engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
    assert ticks.tick("m").ending == "Waiting"
    assert len(sent) <= 6, sent


def test_changed_says_whether_there_is_something_new_to_show(ticks: Ticks) -> None:
    ticks.mission("m", ["a", "b"])
    assert ticks.tick("m").changed
    assert not ticks.tick("m").changed
    ticks.say(a=True)
    assert ticks.tick("m").changed


def test_people_are_told_once(ticks: Ticks) -> None:
    ticks.mission("m", ["a", "b"])
    ticks.say(a=True)

    def broken(task: MissionTask, context: Context) -> Verdict:
        if task.name == "m 1 b":
            raise ConnectionError("the wire is cut")
        return try_template(context, task)

    ticks.attempting = broken
    assert [ticks.tick("m").ending for _ in range(3)] == ["Failed"] * 3
    ticks.attempting = lambda task, context: try_template(context, task)
    ticks.say(b=True)
    assert ticks.tick("m").ending == "Finished"
    assert ticks.sql("SELECT kind, account, subject FROM notification ORDER BY id") == [
        ("task passed", "paper", "m: task passed: m 0 a"),
        ("task broke", "paper", "m: task broke: m 1 b"),
        ("task passed", "paper", "m: task passed: m 1 b"),
        ("missionary finished", "paper", "m: missionary finished"),
    ]
