"""Which items are the same item, and what is said about those that can't be read."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missiondesk.timed.items import Keying, read_groups
from missiondesk.timed.keys import item_key, unique_value
from models.errors import InputRefused

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PUSH = Keying("push", "1", ("channel",))

texts = st.text(st.characters(codec=None), max_size=8)
numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
)
moments = st.integers(10**8, 7 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
places = st.tuples(texts, texts, moments, st.dictionaries(texts, texts | numbers, max_size=3))


def key_of(task: str, flag: str, instant: datetime, unique: dict[str, Any]) -> str:
    return item_key(task, flag, instant, {name: unique_value(value) for name, value in unique.items()})


@given(places, places)
def test_keys_are_the_same_exactly_for_what_is_the_same(one: Any, other: Any) -> None:
    assert (key_of(*one) == key_of(*other)) == (one == other)


@given(texts, texts, texts, texts)
def test_no_separator_makes_two_items_one(a: str, b: str, c: str, d: str) -> None:
    one = key_of("push", "1", NOON, {"a": a, "b": b})
    assert (one == key_of("push", "1", NOON, {"a": c, "b": d})) == ((a, b) == (c, d))


@given(places)
def test_keys_are_of_bounded_length(place: Any) -> None:
    assert len(key_of(*place)) == 64


@given(numbers, numbers)
def test_numbers_are_the_same_when_they_are_equal(one: Any, other: Any) -> None:
    same = key_of("push", "1", NOON, {"a": one}) == key_of("push", "1", NOON, {"a": other})
    assert same == (Decimal(one) == Decimal(other))


@pytest.mark.parametrize("other", [1.0, Decimal("1.00"), Decimal("0.1e1")])
def test_a_number_has_one_key_however_it_is_written(other: Any) -> None:
    assert key_of("push", "1", NOON, {"a": 1}) == key_of("push", "1", NOON, {"a": other})


@pytest.mark.parametrize(
    "number",
    [10**5000, -(10**5000), Decimal("1e999999"), Decimal("-0"), 0.1],
    ids=["huge", "negative", "exponent", "zero", "float"],
)
def test_no_number_is_too_much_for_a_key(number: Any) -> None:
    assert len(key_of("push", "1", NOON, {"a": number})) == 64


def test_a_number_and_its_text_are_two_items() -> None:
    assert key_of("push", "1", NOON, {"a": 1}) != key_of("push", "1", NOON, {"a": "1"})


def test_the_same_fields_at_another_time_or_under_another_flag_are_another_item() -> None:
    keys = {
        key_of("push", "1", NOON, {"a": 1}),
        key_of("push", "2", NOON, {"a": 1}),
        key_of("pull", "1", NOON, {"a": 1}),
        key_of("push", "1", NOON.replace(hour=13), {"a": 1}),
    }
    assert len(keys) == 4


def test_duplicates_in_one_call_are_one_however_their_time_is_spelled() -> None:
    first, again = {"channel": "A", "price": 1}, {"channel": "A", "price": 2}
    (group,) = read_groups(
        {1795348800: [first, again], "2026-11-22T12:00:00Z": [{"channel": "B"}, again]}, PUSH
    )
    assert group.timestamp == 1795348800
    assert list(group.items.values()) == [first, {"channel": "B"}]


def test_groups_come_in_order_of_time() -> None:
    groups = read_groups({1795348800: [], 1602381600: [{"channel": "A"}]}, PUSH)
    assert [group.timestamp for group in groups] == [1602381600, 1795348800]


@pytest.mark.parametrize(
    ("executed_data", "said"),
    [
        (None, "executed_data: expected {timestamp: [{…}, …]}, got None"),
        ([1], "executed_data: expected {timestamp: [{…}, …]}, got [1]"),
        ({"soon": []}, "timestamp: expected unix seconds"),
        (
            {1795348800: {"channel": "A"}},
            "executed_data[1795348800]: expected a list of items, got {'channel'",
        ),
        ({1795348800: "A"}, "executed_data[1795348800]: expected a list of items, got 'A'"),
        ({1795348800: ["A"]}, "executed_data[1795348800][0]: expected an item, {field: value, …}, got 'A'"),
        (
            {1795348800: [{"channel": "A"}, {}]},
            "executed_data[1795348800][1]['channel']: expected this field",
        ),
        ({1795348800: [{"channel": None}]}, "[0]['channel']: expected a string or a finite number, got None"),
        ({1795348800: [{"channel": True}]}, "[0]['channel']: expected a string or a finite number, got True"),
        ({1795348800: [{"channel": [1]}]}, "[0]['channel']: expected a string or a finite number, got [1]"),
        ({1795348800: [{"channel": float("nan")}]}, "expected a string or a finite number, got nan"),
        ({1795348800: [{"channel": Decimal("inf")}]}, "expected a string or a finite number, got Decimal"),
    ],
)
def test_what_cannot_be_read_is_named(executed_data: Any, said: str) -> None:
    with pytest.raises(InputRefused) as refused:
        read_groups(executed_data, PUSH)
    assert "timed task 'push': nothing was run or claimed." in str(refused.value)
    assert said in str(refused.value)


def test_every_problem_is_told_up_to_a_bound() -> None:
    with pytest.raises(InputRefused) as refused:
        read_groups({1795348800: [{}] * 25}, PUSH)
    assert str(refused.value).count("expected this field") == 20
    assert str(refused.value).endswith("and 5 more")


def test_numpys_integers_are_timestamps_like_ints() -> None:
    seconds = int(NOON.timestamp())
    (group,) = read_groups({numpy.int64(seconds): [{"channel": "A"}]}, PUSH)
    assert group.instant == NOON
    assert group.timestamp == seconds and type(group.timestamp) is int
    with pytest.raises(InputRefused):
        read_groups({numpy.bool_(True): [{"channel": "A"}]}, PUSH)
