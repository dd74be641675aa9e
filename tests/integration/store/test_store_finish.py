"""What follows a Missionary that passed its Target: itself again, the next Mission, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from missiondesk.store.finishing import Following
from missiondesk.store.walks import Walks
from models.errors import LeaseLost
from models.result import Result

LEASE = 60.0


@pytest.fixture
def walks(engine: Engine) -> Walks:
    return Walks(engine)


def finish(walks: Walks, mission: str):
    start = walks.begin(mission, "run-1", LEASE)
    walked = start.missionary
    target = start.tasks[walked.target_id]
    passed = Result(True, "BOUGHT", "0.1 BTC", target.id, target.name, "target", None, datetime.now(UTC))
    return walks.finish(walked.id, "run-1", "passed", passed)


def test_without_a_next_one_the_mission_is_disabled(walks, rows):
    mission_id = rows.mission("once")
    outcome = finish(walks, "once")
    assert (outcome.following, outcome.next_mission) == (Following.NOTHING, None)
    assert not rows.enabled(mission_id)
    (ended,) = rows.missionaries(mission_id)
    assert (ended.result, ended.holder, ended.ended_at is not None) == ("passed", None, True)
    (row,) = rows.logged(ended.id)
    assert (row.role, row.task_index, row.rule, row.msg) == ("target", None, "BOUGHT", "0.1 BTC")


def test_repeat_opens_a_fresh_one(walks, rows):
    mission_id = rows.mission("again", 2, repeat=True)
    assert finish(walks, "again").following is Following.AGAIN
    assert rows.enabled(mission_id)
    assert rows.results(mission_id) == ["passed", None]
    fresh = rows.missionaries(mission_id)[-1]
    assert (fresh.next_index, fresh.holder) == (0, None)


def test_a_mission_that_is_its_own_next_one_repeats(walks, rows):
    mission_id = rows.mission("again")
    rows.sql("UPDATE mission SET next_mission_id = id")
    assert finish(walks, "again").following is Following.AGAIN
    assert rows.results(mission_id) == ["passed", None]


def test_the_next_mission_is_enabled_and_opened_before_repeat_is_looked_at(walks, rows):
    sell = rows.mission("sell", enabled=False)
    buy = rows.mission("buy", next_mission_id=sell, repeat=True)
    outcome = finish(walks, "buy")
    assert (outcome.following, outcome.next_mission) == (Following.NEXT, "sell")
    assert (rows.enabled(buy), rows.enabled(sell)) == (False, True)
    assert rows.results(buy) == ["passed"]
    assert rows.results(sell) == [None]


def test_missions_hand_over_to_each_other_for_ever(walks, rows):
    sell = rows.mission("sell", enabled=False)
    buy = rows.mission("buy", next_mission_id=sell)
    rows.sql("UPDATE mission SET next_mission_id = :buy WHERE name = 'sell'", buy=buy)
    for name in ("buy", "sell", "buy", "sell"):
        assert finish(walks, name).following is Following.NEXT
    assert (rows.enabled(buy), rows.enabled(sell)) == (True, False)
    assert rows.results(buy) == ["passed", "passed", None]


@pytest.mark.parametrize("enabled", [True, False])
def test_an_open_missionary_of_the_next_mission_is_reused(walks, rows, enabled):
    sell = rows.mission("sell", 1)
    rows.mission("buy", next_mission_id=sell)
    opened = walks.begin("sell", "run-2", LEASE).missionary
    walks.release(opened.id, "run-2", None, None)
    rows.sql("UPDATE mission SET enabled = :enabled WHERE name = 'sell'", enabled=enabled)
    finish(walks, "buy")
    assert rows.enabled(sell)
    assert [row.id for row in rows.missionaries(sell)] == [opened.id]


def test_a_mission_disabled_meanwhile_ends_and_enables_nothing(walks, rows):
    sell = rows.mission("sell", enabled=False)
    buy = rows.mission("buy", next_mission_id=sell)
    start = walks.begin("buy", "run-1", LEASE)
    rows.sql("UPDATE mission SET enabled = false WHERE name = 'buy'")
    outcome = walks.finish(start.missionary.id, "run-1", "passed")
    assert outcome.following is Following.DISABLED
    assert rows.results(buy) == ["passed"]
    assert not rows.enabled(sell)
    assert rows.results(sell) == []


@pytest.mark.parametrize("flaw", [{"timezone": "Mars"}, {"task_ids": [4711]}])
def test_a_next_mission_with_a_bad_row_is_enabled_and_stops_itself_alone(walks, rows, flaw):
    sell = rows.mission("sell", enabled=False, **flaw)
    buy = rows.mission("buy", next_mission_id=sell)
    assert finish(walks, "buy").following is Following.NEXT
    assert (rows.enabled(buy), rows.enabled(sell)) == (False, True)
    assert rows.results(sell) == []


def test_a_next_mission_that_walks_whole_is_left_to_its_tick(walks, rows):
    sweep = rows.mission("sweep", enabled=False, walk="whole")
    rows.mission("buy", next_mission_id=sweep)
    finish(walks, "buy")
    assert rows.enabled(sweep)
    assert rows.results(sweep) == []


def test_a_deleted_mission_is_a_lost_lease(walks, rows):
    rows.mission("gone")
    start = walks.begin("gone", "run-1", LEASE)
    rows.sql("DELETE FROM mission")
    with pytest.raises(LeaseLost, match="is gone, with its Mission"):
        walks.finish(start.missionary.id, "run-1", "passed")


def test_every_outcome_has_its_words(walks, rows):
    rows.mission("once")
    assert finish(walks, "once").message == "finished; the Mission is disabled now"
