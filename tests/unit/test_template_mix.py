"""Mixes over many ticks: what they answer, what they send, and what they remember."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missiondesk.templates.members import leaves
from missiondesk.templates.registry import find
from missiondesk.templates.run import try_template
from missiondesk.templates.validation import check_task, effects_of
from models.errors import InvalidRow
from models.order import LeafKey
from models.result import Verdict
from tests.template_ports import FileMarkets, TemplateDesk, drawn, task_of

NOW = datetime(2024, 1, 2, tzinfo=UTC)
BUY = {"template": "market_buy", "params": {"symbol": "BTC/USD", "amount": "0.1"}}
STALE = {
    "template": "compare",
    "params": {"left": {"indicator": "price", "symbol": "OLD/USD"}, "op": ">", "right": 0},
}


def a_desk() -> TemplateDesk:
    desk = TemplateDesk(FileMarkets({("kraken", "BTC/USD", "1h"): drawn([100.0] * 30)}))
    desk.markets.stale.add("OLD/USD")
    return desk


def when(condition: str, valid: bool = True) -> dict[str, Any]:
    return {"template": "condition_is", "params": {"condition": condition, "valid": valid}}


def mix(template: str, *members: dict[str, Any]) -> dict[str, Any]:
    params = {"task": members[0]} if template == "not" else {"tasks": list(members)}
    return {"template": template, "params": params}


def tick(desk: TemplateDesk, tree: dict[str, Any]) -> Verdict:
    return try_template(desk.context(NOW), task_of(tree["template"], tree["params"]))


# What a reader should know


def test_all_of_stops_at_the_first_no_and_sends_nothing_behind_it() -> None:
    desk = a_desk()
    verdict = tick(desk, mix("all_of", when("calm"), BUY))
    assert (verdict.passed, verdict.rule) == (False, "CONDITION_IS")
    assert verdict.msg == "1/2 condition_is: calm=false, needs true"
    assert desk.orders.requests == []


def test_all_of_passes_with_every_member_told() -> None:
    desk = a_desk()
    desk.conditions.write("calm", True)
    verdict = tick(desk, mix("all_of", when("calm"), BUY))
    assert (verdict.passed, verdict.rule) == (True, "FILLED")
    assert verdict.msg == "condition_is: calm=true, needs true; market_buy: buy 0.1 filled"


def test_a_leaf_knows_its_place() -> None:
    desk = a_desk()
    tick(desk, mix("all_of", BUY, mix("sequence", when("calm", False), BUY)))
    assert [request.key for request in desk.orders.requests] == [
        LeafKey(7, "task", 0, "0"),
        LeafKey(7, "task", 0, "1.1"),
    ]


def test_a_filled_leaf_has_passed_and_is_never_sent_again() -> None:
    desk = a_desk()
    tree = mix("all_of", BUY, when("calm"))
    assert not tick(desk, tree)
    assert not tick(desk, tree)
    desk.conditions.write("calm", True)
    assert tick(desk, tree)
    assert len(desk.orders.requests) == 1


def test_all_of_reads_anew_and_sequence_remembers() -> None:
    for template, passes in (("all_of", False), ("sequence", True)):
        desk = a_desk()
        desk.conditions.write("first", True)
        tree = mix(template, when("first"), when("second"))
        assert not tick(desk, tree)
        desk.conditions.board.update(first=False, second=True)
        assert tick(desk, tree).passed is passes


def test_a_resting_order_is_followed_although_the_member_before_it_says_no_by_now() -> None:
    desk = a_desk()
    desk.orders.resting = True
    desk.conditions.write("dip", True)
    tree = mix("all_of", when("dip"), BUY)
    assert tick(desk, tree).rule == "OPEN"
    desk.conditions.write("dip", False)
    assert tick(desk, tree).rule == "OPEN"
    desk.orders.fill()
    assert tick(desk, tree).rule == "CONDITION_IS"
    desk.conditions.write("dip", True)
    assert tick(desk, tree)
    assert len(desk.orders.requests) == 1


def test_any_of_keeps_to_the_member_that_has_traded() -> None:
    desk = a_desk()
    desk.orders.resting = True
    sell = {**BUY, "template": "market_sell"}
    tree = mix("any_of", mix("all_of", when("low"), BUY), mix("all_of", when("high"), sell))
    desk.conditions.write("low", True)
    assert tick(desk, tree).rule == "OPEN"
    desk.conditions.board.update(low=False, high=True)
    desk.orders.fill()
    assert not tick(desk, tree)
    desk.conditions.write("low", True)
    assert tick(desk, tree)
    assert [request.side for request in desk.orders.requests] == ["buy"]


def test_any_of_takes_the_next_member_when_a_trade_is_denied() -> None:
    desk = a_desk()
    desk.orders.denying = True
    verdict = tick(desk, mix("any_of", BUY, when("calm", False)))
    assert verdict.passed
    assert verdict.msg == "2/2 condition_is: calm=false, needs false"


def test_missing_data_is_neither_yes_nor_no() -> None:
    desk = a_desk()
    for tree in (mix("not", STALE), mix("all_of", STALE, BUY), mix("any_of", STALE, when("calm"))):
        assert tick(desk, tree).rule == "DATA_STALE"
    assert tick(desk, mix("any_of", STALE, when("calm", False)))
    assert tick(desk, mix("not", mix("any_of", STALE, when("calm")))).rule == "DATA_STALE"
    assert desk.orders.requests == []


def test_not_turns_the_answer_round() -> None:
    desk = a_desk()
    verdict = tick(desk, mix("not", when("halted")))
    assert verdict.passed
    assert verdict.msg == "not condition_is: halted=false, needs true"


ACTING = [BUY, {"template": "set_condition", "params": {"condition": "a", "valid": True}}]


@pytest.mark.parametrize(
    "acting",
    [*ACTING, {**BUY, "template": "stop_loss", "params": {**BUY["params"], "percent": 5, "unit": "base"}}],
)
@pytest.mark.parametrize("depth", [0, 1, 4])
def test_nothing_that_acts_may_stand_under_not(acting: dict[str, Any], depth: int) -> None:
    tree = acting
    for _ in range(depth):
        tree = mix("any_of", when("calm"), tree)
    with pytest.raises(InvalidRow, match=f"expected no trades.* under not, got {acting['template']}"):
        check_task(task_of("all_of", {"tasks": [when("calm"), mix("not", tree)]}))


def test_problems_of_members_name_their_place() -> None:
    tree = mix(
        "all_of", when("calm"), mix("any_of", {"template": "rsi_below", "params": {"symbol": "BTCUSD"}})
    )
    with pytest.raises(InvalidRow) as refused:
        check_task(task_of(tree["template"], tree["params"]))
    assert [field for field, _ in refused.value.problems] == [
        "params.tasks.1.params.tasks.0.params.symbol",
        "params.tasks.1.params.tasks.0.params.timeframe",
    ]
    with pytest.raises(
        InvalidRow, match=r"params\.tasks\.0\.template: unknown template 'rsi_bellow'.*did you mean rsi_below"
    ):
        check_task(task_of("all_of", {"tasks": [{"template": "rsi_bellow"}]}))
    with pytest.raises(InvalidRow, match=r"params\.tasks: expected at least 1, got 0"):
        check_task(task_of("sequence", {"tasks": []}))


def test_trades_inside_mixes_are_not_retried() -> None:
    nested = mix("sequence", when("calm"), mix("any_of", BUY))
    with pytest.raises(InvalidRow, match="retries: expected 0, because this Task trades, got 3"):
        check_task(task_of(nested["template"], nested["params"], retries=3))
    check_task(task_of("all_of", {"tasks": [when("calm")]}, retries=3))
    assert effects_of(task_of(nested["template"], nested["params"])) == {"order"}


def test_nesting_has_no_limit_of_ours() -> None:
    tree = when("calm", False)
    for _ in range(60):
        tree = mix("not", mix("all_of", tree))
    assert tick(a_desk(), tree)


def test_nesting_beyond_what_fits_is_refused_in_words() -> None:
    tree = when("calm", False)
    for _ in range(3000):
        tree = mix("not", tree)
    with pytest.raises(InvalidRow, match="expected less nesting"):
        check_task(task_of(tree["template"], tree["params"]))


# Any tree, over any ticks, against a second evaluator


@dataclass
class Model:
    """The rules of `docs/templates.md` once more, on plain dictionaries: True, False, or None for no data."""

    conditions: dict[str, bool] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    resting: bool = False
    denying: bool = False

    def tick(self, tree: dict[str, Any]) -> bool | None:
        if any(self.orders.get(path) == "open" for path in trades(tree)):
            return False
        return self.ask(tree, "")

    def ask(self, tree: dict[str, Any], path: str) -> bool | None:
        params = tree["params"]
        match tree["template"]:
            case "condition_is":
                return self.conditions.get(params["condition"], False) is params["valid"]
            case "set_condition":
                self.conditions[params["condition"]] = params["valid"]
                return True
            case "compare":
                return None
            case "market_buy":
                return self.trade(path)
            case "not":
                answer = self.ask(params["task"], below(path, 0))
                return None if answer is None else not answer
            case "all_of":
                return self.each(params["tasks"], path, remember=False)
            case "sequence":
                return self.each(params["tasks"], path, remember=True)
            case "any_of":
                return self.first(params["tasks"], path)
        raise AssertionError(tree)

    def each(self, members: list[dict[str, Any]], path: str, *, remember: bool) -> bool | None:
        for index, member in enumerate(members):
            place = below(path, index)
            if place not in self.passed:
                answer = self.ask(member, place)
                if answer is not True:
                    return answer
                if remember:
                    self.passed.add(place)
        return True

    def first(self, members: list[dict[str, Any]], path: str) -> bool | None:
        places = [(member, below(path, index)) for index, member in enumerate(members)]
        bound = [place for place in places if self.has_traded(*place)]
        lacking = False
        for member, place in bound[:1] or places:
            answer = self.ask(member, place)
            if answer or self.has_traded(member, place):
                return answer
            lacking = lacking or answer is None
        return None if lacking else False

    def has_traded(self, tree: dict[str, Any], path: str) -> bool:
        return any(place in self.orders for place in trades(tree, path))

    def trade(self, path: str) -> bool:
        if path not in self.orders and not self.denying:
            self.orders[path] = "open" if self.resting else "filled"
            self.sent.append(path)
        return self.orders.get(path) == "filled"


def below(path: str, index: int) -> str:
    return f"{path}.{index}" if path else str(index)


def trades(tree: dict[str, Any], path: str = "") -> list[str]:
    if tree["template"] == "market_buy":
        return [path]
    members = tree["params"].get("tasks") or [tree["params"]["task"]] if tree["template"] in MIXES else []
    return [leaf for index, member in enumerate(members) for leaf in trades(member, below(path, index))]


MIXES = ("all_of", "any_of", "sequence", "not")
NAMES = st.sampled_from(["a", "b", "c"])
LOOKING = st.builds(when, NAMES, st.booleans()) | st.just(STALE)
SETTING = st.builds(
    lambda name, valid: {**when(name, valid), "template": "set_condition"}, NAMES, st.booleans()
)


def mixes_of(leaf: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    def some(members: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        lists = st.lists(members, min_size=1, max_size=3)
        return st.builds(
            lambda template, found: mix(template, *found),
            st.sampled_from(["all_of", "any_of", "sequence"]),
            lists,
        )

    return st.recursive(leaf, some, max_leaves=8)


LOOKING_TREES = mixes_of(LOOKING | st.builds(lambda tree: mix("not", tree), LOOKING))
TREES = mixes_of(LOOKING | SETTING | st.just(BUY) | st.builds(lambda tree: mix("not", tree), LOOKING_TREES))


@dataclass(frozen=True)
class World:
    """What is true when a tick begins; `fills` settles what rests."""

    conditions: dict[str, bool]
    fills: bool
    resting: bool
    denying: bool


WORLDS = st.builds(
    World,
    st.fixed_dictionaries({name: st.booleans() for name in "abc"}),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(tree=TREES, worlds=st.lists(WORLDS, min_size=1, max_size=6))
def test_any_tree_over_any_ticks_answers_and_acts_like_the_model(
    tree: dict[str, Any], worlds: list[World]
) -> None:
    desk, model = a_desk(), Model()
    for world in worlds:
        desk.conditions.board.update(world.conditions)
        model.conditions.update(world.conditions)
        desk.orders.resting = model.resting = world.resting
        desk.orders.denying = model.denying = world.denying
        if world.fills:
            desk.orders.fill()
            model.orders = dict.fromkeys(model.orders, "filled")
        answer = model.tick(tree)
        verdict = tick(desk, tree)
        assert verdict.passed is (answer is True)
        assert (verdict.rule == "DATA_STALE") is (answer is None)
        assert verdict.msg
        assert desk.conditions.board == model.conditions
        assert {key.leaf for key in desk.memory.passed} == model.passed
        assert [request.key.leaf for request in desk.orders.requests] == model.sent


@settings(deadline=None)
@given(TREES)
def test_leaves_are_found_from_left_to_right(tree: dict[str, Any]) -> None:
    template, params = check_task(task_of(tree["template"], tree["params"]))
    found = [leaf for leaf in leaves(template, params) if leaf.template is find("market_buy")]
    assert [".".join(map(str, leaf.path)) for leaf in found] == trades(tree)
