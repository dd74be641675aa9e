"""What can be decorated, what is refused at the import, and how a function is found again."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from missiondesk.timed import timed_task
from missiondesk.timed.entrypoint import entrypoint_of, load_timed_task
from missiondesk.timed.settings import TimedSettings
from models.errors import InputRefused, InvalidSetting

GOOD: dict[str, Any] = {"task": "push", "task_name": "Push", "flag": "1", "unique": ["channel"]}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"task": ""}, "task: expected a text"),
        ({"task": "x" * 256}, "at most 255"),
        ({"flag": 1}, "flag: expected a text"),
        ({"task_name": "a\0b"}, "task_name: expected a text"),
        ({"flag": "\ud800"}, "flag: expected a text"),
        ({"unique": []}, "one at least"),
        ({"unique": "channel"}, "expected a list of field names"),
        ({"unique": [1]}, "expected a list of field names"),
    ],
)
def test_arguments_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputRefused, match=said):
        timed_task(**(GOOD | wrong))


@pytest.mark.parametrize("function", [lambda: None, lambda *items: None, lambda *, items: None])
def test_a_function_without_a_first_parameter_is_refused(function: Any) -> None:
    with pytest.raises(InputRefused, match="first parameter is executed_data"):
        timed_task(**GOOD)(function)


def test_a_decorated_function_keeps_its_name_and_says_what_it_is() -> None:
    @timed_task(**GOOD)
    def push(executed_data: Any) -> None:
        """Tell the users."""

    assert (push.__name__, push.__doc__) == ("push", "Tell the users.")  # type: ignore[attr-defined]
    assert push.timed_task.names.flag == "1"


def test_only_what_can_be_imported_has_an_entrypoint() -> None:
    def inner() -> None: ...

    assert entrypoint_of(inner) is None
    assert entrypoint_of(load_timed_task) == "missiondesk.timed.entrypoint:load_timed_task"


@pytest.mark.parametrize("entrypoint", ["no_such_module:push", "json:nothing", "json", ":", "json:dumps"])
def test_what_is_no_timed_task_is_not_loaded(entrypoint: str) -> None:
    with pytest.raises(InputRefused, match=f"'{entrypoint}"):
        load_timed_task(entrypoint)


def test_prefect_is_not_imported() -> None:
    program = (
        "import sys, missiondesk.timed; print([m for m in ('prefect', 'ccxt', 'pandas') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_settings_have_defaults_and_name_what_is_wrong() -> None:
    assert TimedSettings.load({}).window.total_seconds() == 3600
    assert TimedSettings.load({"MISSIONDESK_TIMED_WINDOW_SECONDS": "60"}).window_seconds == 60
    with pytest.raises(InvalidSetting) as refused:
        TimedSettings.load({"MISSIONDESK_TIMED_WINDOW_SECONDS": "0", "MISSIONDESK_TIMED_ATTEMPTS": "many"})
    assert len(str(refused.value).splitlines()) == 2
