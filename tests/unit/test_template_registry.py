"""The registry: what a template is made of, how it is found, and what other packages may bring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from missiondesk.templates.context import Context
from missiondesk.templates.params import MarketParams, Params
from missiondesk.templates.registry import UnknownTemplate, all_templates, find, json_schema, template
from missiondesk.templates.validation import check_task
from models.errors import InputRefused, InvalidRow, UnknownName
from models.result import Verdict
from tests.template_ports import task_of

OF_THE_SPEC = {
    "compare",
    "open_within_ma_band",
    "price_below_ma",
    "price_below_lower_band",
    "price_above_upper_band",
    "price_below_open",
    "volume_above_mean",
    "volume_below_mean",
    "rsi_below",
    "rsi_above",
    "macd_cross",
    "adx_above",
    "ema_channel_breakout",
    "regime_is",
    "signal_is",
    "spread_above",
    "market_buy",
    "market_sell",
    "limit_buy",
    "limit_sell",
    "long",
    "short",
    "close_long",
    "close_short",
    "close_all",
    "stop_loss",
    "take_profit",
    "condition_is",
    "set_condition",
    "all_of",
    "any_of",
    "not",
    "sequence",
}


def test_every_template_users_rely_on_is_there() -> None:
    assert {template.name for template in all_templates()} >= OF_THE_SPEC


@pytest.mark.parametrize("name", sorted(OF_THE_SPEC))
def test_each_lists_its_params_as_json_schema(name: str) -> None:
    schema = json_schema(name)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["title"] == name
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert schema["description"].strip()


def test_what_a_try_may_change_is_known() -> None:
    effects = {template.name: template.effect for template in all_templates()}
    assert effects["set_condition"] == "condition"
    assert {name for name, effect in effects.items() if effect == "order"} == {
        template.name for template in all_templates() if template.kind == "trade"
    } | {"buy_on_lower_band_break", "sell_on_upper_band_break"}


def test_an_unknown_name_is_told_the_nearest_ones() -> None:
    with pytest.raises(
        UnknownTemplate, match=r"unknown template 'rsi_bellow'.*did you mean rsi_below"
    ) as refused:
        find("rsi_bellow")
    assert isinstance(refused.value, UnknownName)
    with pytest.raises(InvalidRow, match="task 'step' is not valid: template: unknown template 'nonsense'"):
        check_task(task_of("nonsense"))


class Nothing(Params):
    pass


@template("test_unrecorded", kind="data", recorded=False)
def unrecorded(context: Context, params: Nothing) -> Verdict:
    """Passes.

    More help.
    """
    return Verdict(True, "TEST")


def test_a_template_is_a_plain_function_with_a_name() -> None:
    found = find("test_unrecorded")
    assert found.function is unrecorded
    assert (found.kind, found.params, found.recorded, found.effect) == ("data", Nothing, False, None)
    assert (found.summary, found.help) == ("Passes.", "Passes.\n\nMore help.")
    template("test_unrecorded", kind="data", recorded=False)(unrecorded)


def test_two_functions_do_not_share_a_name() -> None:
    def other(context: Context, params: MarketParams) -> Verdict:
        return Verdict(True, "TEST")

    with pytest.raises(
        InputRefused, match=r"got 'rsi_below', which missiondesk\.templates\.data\.rsi_below has"
    ):
        template("rsi_below", kind="data")(other)


def test_a_template_without_a_params_model_is_refused() -> None:
    def bare(context: Context, params: dict[str, int]) -> Verdict:
        return Verdict(True, "TEST")

    with pytest.raises(InputRefused, match="expected template 'test_bare' to be a function"):
        template("test_bare", kind="data")(bare)


PLUGIN = """
from missiondesk.templates.checks import check
from missiondesk.templates.context import Context
from missiondesk.templates.params import MarketParams
from missiondesk.templates.registry import template
from models.result import Verdict


class MoonParams(MarketParams):
    phase: str


@template("moon_is", kind="data")
def moon_is(context: Context, params: MoonParams) -> Verdict:
    "The moon has a phase."
    return Verdict(True, "MOON_IS")


@check("by_night")
def by_night(context: Context) -> Verdict:
    return Verdict(True, "BY_NIGHT")
"""

LOOK = """
import json
from missiondesk.templates.checks import check_names
from missiondesk.templates.plugins import broken_plugins
from missiondesk.templates.registry import UnknownTemplate, all_templates, find
try:
    find("sun_is")
except UnknownTemplate as error:
    said = str(error)
print(json.dumps({
    "templates": [template.name for template in all_templates()],
    "checks": check_names(),
    "broken": [str(broken) for broken in broken_plugins()],
    "said": said,
}))
"""


def test_other_packages_bring_templates_and_a_broken_one_breaks_no_other(tmp_path: Path) -> None:
    (tmp_path / "moon.py").write_text(PLUGIN)
    (tmp_path / "sun.py").write_text("raise RuntimeError('eclipse')\n")
    (tmp_path / "thief.py").write_text(PLUGIN.replace("moon_is", "rsi_below").replace("by_night", "by_day"))
    distribution = tmp_path / "astronomy-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: astronomy\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text(
        "[missiondesk.templates]\nmoon = moon\nsun = sun\nthief = thief\n"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    ran = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    seen = json.loads(ran.stdout)
    assert "moon_is" in seen["templates"]
    assert set(seen["templates"]) >= OF_THE_SPEC
    assert "by_night" in seen["checks"]
    [sun, thief] = seen["broken"]
    assert sun == "plug-in sun (sun) could not be loaded: RuntimeError: eclipse"
    assert "expected a new name for the template of thief.rsi_below, got 'rsi_below'" in thief
    assert sun in seen["said"]
