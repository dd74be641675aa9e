"""Missions and tasks through Python: found, validated as a whole before they are written, and listed."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from missiondesk.store.missions import Missions
from missiondesk.store.walks import Walks
from models.errors import InputRefused, InvalidRow, UnknownName
from models.mission import MissionTask
from models.timer import Period

LEASE = 60.0


@pytest.fixture
def missions(engine: Engine) -> Missions:
    return Missions(engine)


def accept(task: MissionTask) -> None:
    """A check of template and params that finds nothing."""


class TestFinding:
    def test_by_name_and_by_id(self, missions, rows):
        mission_id = rows.mission("dip")
        assert missions.get("dip").id == missions.get(mission_id).id == mission_id

    def test_an_unknown_one_is_told_which_exist(self, missions, rows):
        rows.mission("dip")
        rows.mission("climb")
        with pytest.raises(UnknownName, match=r"unknown mission 7; existing: climb, dip"):
            missions.get(7)

    def test_a_bad_row_hides_no_other(self, missions, rows):
        rows.mission("bad", overlap="often")
        rows.mission("good")
        valid, (invalid,) = missions.load_all()
        assert [mission.name for mission in valid] == ["good"]
        assert "mission 'bad' is not valid: overlap" in str(invalid)
        assert missions.names() == ["bad", "good"]
        assert len(missions.rows()) == 2
        with pytest.raises(InvalidRow):
            missions.all()

    def test_enabled_missions_and_their_open_missionaries_are_available(self, engine, missions, rows):
        walked = rows.mission("walked")
        waiting = rows.mission("waiting")
        rows.mission("off", enabled=False)
        missionary = Walks(engine).begin("walked", "run-1", LEASE).missionary
        assert missions.available_ids() == [walked, waiting]
        assert [(pair[0].id, pair[1].id) for pair in missions.available_pairs()] == [(walked, missionary.id)]

    def test_tasks_by_id(self, missions, rows):
        first, second = rows.task("first", period="1h"), rows.task("second")
        found = missions.tasks_of([second, first, 4711])
        assert {task_id: task.name for task_id, task in found.items()} == {first: "first", second: "second"}
        assert found[first].period is Period.ONE_HOUR


class TestSavingTasks:
    def test_by_name_it_is_inserted_and_then_changed(self, missions):
        first = missions.save_task({"name": "buy", "template": "market_buy", "period": "1h"}, accept)
        second = missions.save_task({"name": "buy", "params": {"amount": "0.1"}}, accept)
        assert second.id == first.id
        assert (second.template, second.params, second.period) == (
            "market_buy",
            {"amount": "0.1"},
            Period.ONE_HOUR,
        )

    def test_by_id_it_can_be_renamed(self, missions):
        task_id = missions.save_task({"name": "buy", "template": "market_buy"}, accept).id
        assert missions.save_task({"id": task_id, "name": "bought"}, accept).name == "bought"

    def test_a_refusal_of_template_or_params_writes_nothing(self, missions, rows):
        task_id = rows.task("buy")

        def refuse(task: MissionTask) -> None:
            raise InputRefused(f"unknown template {task.template!r}")

        with pytest.raises(InputRefused, match="unknown template 'fly'"):
            missions.save_task({"name": "buy", "template": "fly"}, refuse)
        assert missions.tasks_of([task_id])[task_id].template == "condition_is"

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"name": "a/b", "template": "compare"}, "name: expected 1 to 200 characters"),
            ({"name": "a", "template": "compare", "period": "2h"}, "period: expected a period to be one of"),
            (
                {"name": "a", "template": "compare", "colour": "red"},
                "colour: expected a field among id, name",
            ),
            ({"name": "a", "template": None}, "template: expected a value, got null"),
            ({"name": "a"}, "template: Field required"),
        ],
    )
    def test_what_is_not_valid_is_named(self, missions, fields, said):
        with pytest.raises(InvalidRow, match=said):
            missions.save_task(fields, accept)

    def test_an_id_that_is_not_there_is_not_made_up(self, missions):
        with pytest.raises(UnknownName, match="unknown task 4711"):
            missions.save_task({"id": 4711, "template": "compare"}, accept)


class TestSavingMissions:
    def test_by_name_it_is_inserted_and_then_changed(self, missions, rows):
        target = rows.task("aim")
        first = missions.save({"name": "dip", "target_id": target, "crontab": {"minute": 0}})
        second = missions.save({"name": "dip", "description": "buys dips"})
        assert (second.id, second.description, second.target_id) == (first.id, "buys dips", target)
        assert second.crontab == ("0 * * * *",)
        assert missions.save({"name": "dip", "crontab": None}).crontab == ()
        assert missions.rows()[0]["crontab"] is None

    def test_it_is_validated_as_the_whole_row_that_it_becomes(self, missions, rows):
        rows.mission("sweep", repeat=True)
        with pytest.raises(InvalidRow, match="next_mission_id and repeat to be empty when walk is whole"):
            missions.save({"name": "sweep", "walk": "whole"})
        assert missions.get("sweep").walk == "progress"

    def test_what_it_refers_to_must_exist(self, missions):
        fields = {"name": "dip", "task_ids": [1, 2], "target_id": 3, "next_mission_id": 4, "account": "x"}
        with pytest.raises(InvalidRow) as refused:
            missions.save(fields)
        assert dict(refused.value.problems) == {
            "task_ids": "expected ids of existing tasks, got 1, 2",
            "target_id": "expected the id of an existing task, got 3",
            "next_mission_id": "expected the id of an existing mission, got 4",
            "account": "expected one of paper, got 'x'",
        }

    def test_a_name_that_is_taken_is_refused(self, missions, rows):
        rows.mission("dip")
        other = rows.mission("other")
        with pytest.raises(InvalidRow, match=r"mission 'dip' is not valid: name: expected a name of its own"):
            missions.save({"id": other, "name": "dip"})

    def test_deleting_takes_its_missionaries_along_and_leaves_its_log(self, engine, missions, rows):
        mission_id = rows.mission("dip")
        Walks(engine).begin("dip", "run-1", LEASE)
        missions.delete("dip")
        assert missions.names() == []
        assert rows.missionaries(mission_id) == []
