"""Guards and preconditions: who may be asked, and what the answer says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from missiondesk.engine.walk import Answer
from missiondesk.templates.checks import check
from missiondesk.templates.context import Context
from missiondesk.templates.guards import evaluate_guard, evaluate_precondition, guard_subject
from models.errors import InputRefused, InvalidRow
from models.mission import MissionTask
from models.result import Verdict
from tests.template_ports import FileMarkets, TemplateDesk, drawn, task_of

NOW = datetime(2024, 1, 3, tzinfo=UTC)


def a_desk(**conditions: bool) -> TemplateDesk:
    desk = TemplateDesk(FileMarkets({("kraken", "BTC/USD", "1h"): drawn([100.0] * 30)}))
    desk.conditions.board.update(conditions)
    return desk


def close_above(value: float, **columns: Any) -> MissionTask:
    params = {
        "symbol": "BTC/USD",
        "timeframe": "1h",
        "left": {"indicator": "close"},
        "op": ">",
        "right": value,
    }
    return task_of("compare", params, name="high", **columns)


def asked(desk: TemplateDesk, guard: str, task: MissionTask | None = None) -> Answer:
    return evaluate_guard(guard, desk.context(NOW), task)


@pytest.mark.parametrize("guard", ["", "  "])
def test_a_blank_guard_says_yes(guard: str) -> None:
    assert asked(a_desk(), guard).yes


@pytest.mark.parametrize(
    ("guard", "valid", "yes"),
    [
        ("stopped", True, True),
        ("stopped", False, False),
        ("!stopped", True, False),
        ("! stopped", False, True),
    ],
)
def test_a_condition_is_asked_by_name_and_a_bang_negates(guard: str, valid: bool, yes: bool) -> None:
    answer = asked(a_desk(stopped=valid), guard)
    assert answer.yes is yes
    assert "Condition stopped" in answer.reason


def test_a_no_says_which_condition_and_why() -> None:
    assert asked(a_desk(stopped=False), "stopped").reason == "Condition stopped is false"
    assert (
        asked(a_desk(stopped=True), "!stopped").reason
        == "Condition stopped is true, and its opposite is needed"
    )


def test_a_name_that_nothing_has_becomes_a_condition_that_is_false() -> None:
    desk = a_desk()
    assert not asked(desk, "brand_new").yes
    assert desk.conditions.board == {"brand_new": False}


def test_the_built_in_conditions_need_no_look() -> None:
    desk = a_desk()
    assert asked(desk, "always_true").yes
    assert not asked(desk, "always_false").yes
    assert asked(desk, "!always_false").yes
    assert desk.conditions.board == {}


def test_a_task_that_only_looks_may_be_a_guard() -> None:
    assert asked(a_desk(), "high", close_above(99)).yes
    answer = asked(a_desk(), "high", close_above(101))
    assert not answer.yes
    assert answer.rule == "COMPARE"
    assert answer.reason.startswith("Task high: close=100, needs > 101 (")
    assert asked(a_desk(), "!high", close_above(101)).yes
    reading = task_of("condition_is", {"condition": "calm"}, name="is calm")
    assert asked(a_desk(calm=True), "is calm", reading).yes


def test_missing_data_is_a_no_whichever_way_it_is_asked() -> None:
    desk = a_desk()
    desk.markets.stale.add("BTC/USD")
    for guard in ("high", "!high"):
        answer = asked(desk, guard, close_above(99))
        assert (answer.yes, answer.rule) == (False, "DATA_STALE")


@pytest.mark.parametrize(
    ("template", "params"),
    [
        ("market_buy", {"symbol": "BTC/USD", "amount": 1}),
        ("set_condition", {"condition": "a", "valid": True}),
        ("all_of", {"tasks": [{"template": "condition_is", "params": {"condition": "a"}}]}),
        ("buy_on_lower_band_break", {"symbol": "BTC/USD", "amount": 1, "timeframe": "1h"}),
    ],
)
def test_what_may_do_more_than_look_is_refused_as_a_guard(template: str, params: dict[str, Any]) -> None:
    desk = a_desk()
    with pytest.raises(
        InputRefused, match=f"expected guard 'high' .* got the Task 'high' of template {template}"
    ):
        asked(desk, "high", task_of(template, params, name="high"))
    assert desk.orders.requests == []
    assert desk.conditions.board == {}


def test_a_name_of_both_a_condition_and_a_task_is_refused() -> None:
    with pytest.raises(InputRefused, match="expected guard '!high' to name either a Condition or a Task"):
        asked(a_desk(high=False), "!high", close_above(99))


def test_a_guard_task_has_to_fit_its_template() -> None:
    with pytest.raises(InvalidRow, match=r"task 'high' is not valid: params\.symbol"):
        asked(a_desk(), "high", task_of("rsi_below", {"timeframe": "1h"}, name="high"))


def test_a_bang_alone_is_refused() -> None:
    with pytest.raises(InputRefused, match="after the !"):
        asked(a_desk(), "!")


def test_what_a_guard_names() -> None:
    assert guard_subject(" !stopped ") == ("stopped", False)
    assert guard_subject("stopped") == ("stopped", True)


# can_run


@check("only_in_january")
def only_in_january(context: Context) -> Verdict:
    """Says yes in January."""
    return Verdict(
        context.now.month == 1, "ONLY_IN_JANUARY", "it is month {month}", {"month": context.now.month}
    )


def test_can_run_asks_a_check_function_or_a_condition() -> None:
    january, june = a_desk().context(NOW), a_desk().context(datetime(2024, 6, 1, tzinfo=UTC))
    assert evaluate_precondition("only_in_january", january).yes
    answer = evaluate_precondition("only_in_january", june)
    assert answer == Answer(False, "ONLY_IN_JANUARY", "check only_in_january: it is month 6")
    assert evaluate_precondition("!only_in_january", june).yes
    assert evaluate_precondition("calm", a_desk(calm=True).context(NOW)).yes
    assert not evaluate_precondition("calm", a_desk().context(NOW)).yes
    assert evaluate_precondition("", january).yes
    assert evaluate_precondition("always_true", january).yes
    assert not evaluate_precondition("always_false", january).yes


def test_a_check_keeps_its_name() -> None:
    check("only_in_january")(only_in_january)
    with pytest.raises(InputRefused, match="only_in_january"):

        @check("only_in_january")
        def another(context: Context) -> Verdict:
            return Verdict(True, "ANOTHER")
