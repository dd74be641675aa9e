"""Which Tasks walk through in one tick, and which wait for a tick of their own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from missiondesk.engine.due import Tick
from missiondesk.engine.walk import YES, Finish, Hold, begin, next_move
from models.mission import Mission, MissionTask, first_period

MIDNIGHT = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)  # a Monday: every period fires


def mission_of(periods: list[str | None]) -> tuple[Mission, tuple[MissionTask, ...]]:
    queue = tuple(
        MissionTask(id=number, name=f"step {number}", template="any", period=period)
        for number, period in enumerate(periods, 1)
    )
    return Mission(id=1, name="walk", task_ids=tuple(task.id for task in queue)), queue


def passed_in_one_tick(periods: list[str | None], tick: Tick, start: int = 0) -> int:
    """How far one tick comes when every Task passes as soon as it is due."""
    mission, queue = mission_of(periods)
    walk = begin(mission, queue, None, next_index=start, period=first_period(queue, None), tick=tick)
    while not isinstance(move := next_move(walk), Hold | Finish):
        walk = walk.after(move, YES)
    return walk.index


@pytest.mark.parametrize(
    "periods",
    [["60min", "1min", "60min"], ["4h", "60min", "1min", "60min"], ["60min", "60min"], ["1h", None, "1h"]],
)
def test_a_tick_of_a_long_period_is_also_a_tick_of_every_shorter_one(periods: list[str | None]) -> None:
    assert passed_in_one_tick(periods, Tick(MIDNIGHT)) == len(periods)


@pytest.mark.parametrize("periods", [["60min", "4h"], ["1min", "60min"]])
def test_a_longer_period_waits_for_a_tick_of_its_own(periods: list[str | None]) -> None:
    assert passed_in_one_tick(periods, Tick(MIDNIGHT)) == 1
    assert passed_in_one_tick(periods, Tick(MIDNIGHT, ad_hoc=True)) == 1


def test_a_tick_that_starts_at_the_longer_task_needs_its_firing_time() -> None:
    one_past = MIDNIGHT.replace(minute=1)
    assert passed_in_one_tick(["1min", "60min"], Tick(one_past), start=1) == 1
    assert passed_in_one_tick(["1min", "60min"], Tick(MIDNIGHT), start=1) == 2
    assert passed_in_one_tick(["1min", "60min"], Tick(one_past, ad_hoc=True), start=1) == 2


def test_seconds_of_the_scheduled_time_do_not_matter() -> None:
    assert passed_in_one_tick(["60min"], Tick(MIDNIGHT.replace(second=37))) == 1


def test_the_mission_timezone_decides_when_a_day_begins() -> None:
    assert passed_in_one_tick(["1day"], Tick(MIDNIGHT, timezone="Europe/Berlin")) == 0
    berlin_midnight = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
    assert passed_in_one_tick(["1day"], Tick(berlin_midnight, timezone="Europe/Berlin")) == 1


def test_a_crontab_takes_the_place_of_every_period() -> None:
    quarter_past = Tick(MIDNIGHT.replace(minute=17), crontab=("17 * * * *",))
    assert passed_in_one_tick(["60min"], quarter_past) == 1
    assert passed_in_one_tick(["60min", "4h"], quarter_past) == 1
    assert passed_in_one_tick(["60min", "4h"], quarter_past, start=1) == 2


def test_the_missionary_takes_the_period_even_if_the_task_is_not_due() -> None:
    mission, queue = mission_of(["1min", "60min"])
    walk = begin(
        mission,
        queue,
        None,
        next_index=0,
        period=first_period(queue, None),
        tick=Tick(MIDNIGHT.replace(minute=5)),
    )
    while not isinstance(move := next_move(walk), Hold | Finish):
        walk = walk.after(move, YES)
    assert isinstance(move, Hold)
    assert str(walk.period) == "60min"
    assert move.answer.rule == "NOT_DUE"


def test_a_day_whose_midnight_the_clock_skips_begins_an_hour_earlier() -> None:
    santiago = "America/Santiago"
    at_23 = datetime(2026, 9, 6, 3, 0, tzinfo=UTC)
    assert passed_in_one_tick(["1day"], Tick(at_23, timezone=santiago)) == 1
    assert passed_in_one_tick(["1day"], Tick(at_23.replace(hour=4), timezone=santiago)) == 0
