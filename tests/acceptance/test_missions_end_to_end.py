"""Missions on a running desk that plays recorded candles: rows in, numbers, schedules and orders out."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import numpy as np
import pytest
import talib

from missiondesk.store.administration import session
from tests.acceptance.running_desk import RunningDesk
from tests.waiting import wait_for

pytestmark = [pytest.mark.desk, pytest.mark.timeout(900)]

SYMBOL = "BTC/USDT"
REPOSITORY = Path(__file__).parents[2]


class Rows:
    """Plain SQL on the desk's database, as a user with psql has it."""

    def __init__(self, desk: RunningDesk) -> None:
        self._url = desk.database_url

    def __call__(self, statement: str, *given: Any) -> list[tuple[Any, ...]]:
        with session(self._url) as cursor:
            cursor.execute(statement, given)
            return list(cursor.fetchall()) if cursor.description else []

    def task(self, template: str, params: dict[str, Any], period: str | None = "1min") -> int:
        name = f"{template} {uuid4().hex[:6]}"
        written = self(
            "INSERT INTO task (name, template, params, period) VALUES (%s, %s, %s, %s) RETURNING id",
            name,
            template,
            json.dumps(params),
            period,
        )
        return int(written[0][0])

    def mission(self, queue: list[int], target: int | None = None, enabled: bool = True) -> str:
        name = f"m-{uuid4().hex[:6]}"
        self(
            "INSERT INTO mission (name, task_ids, target_id, enabled) VALUES (%s, %s, %s, %s)",
            name,
            queue,
            target,
            enabled,
        )
        return name


@pytest.fixture(scope="module")
def candle_file(shared_data: Path) -> Path:
    return shared_data / "ohlcv" / "binance" / "BTC-USDT_1m.csv.gz"


@pytest.fixture(scope="module")
def desk(new_desk: Callable[[], RunningDesk], candle_file: Path) -> RunningDesk:
    desk = new_desk()
    desk.start("--exchange", "sandbox", "--candles", str(candle_file))
    desk.wait_until_up()
    return desk


@pytest.fixture(scope="module")
def rows(desk: RunningDesk) -> Rows:
    return Rows(desk)


def prefect(desk: RunningDesk, path: str, body: dict[str, Any] | None = None) -> Any:
    url = f"{desk.prefect_api_url}{path}"
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=20) as answer:
        return json.load(answer)


def deployments(desk: RunningDesk) -> dict[str, dict[str, Any]]:
    """Deployments by the name of their flow."""
    flows = {flow["id"]: flow["name"] for flow in prefect(desk, "/flows/filter", {})}
    return {flows[each["flow_id"]]: each for each in prefect(desk, "/deployments/filter", {})}


def active(desk: RunningDesk, mission: str) -> list[str] | None:
    """Its active schedules; None without a deployment."""
    deployed = deployments(desk).get(mission)
    return deployed and sorted(each["slug"] for each in deployed["schedules"] if each["active"])


class File:
    """The recording as it is in its file, and how far the sandbox has moved it in time."""

    def __init__(self, path: Path, shift: timedelta) -> None:
        with gzip.open(path, "rt") as text:
            bars = np.loadtxt(text, delimiter=",", skiprows=1)
        self.open_time = bars[:, 0].astype(np.int64) + int(shift.total_seconds() * 1000)
        self.high, self.low, self.close, self.volume = bars[:, 2], bars[:, 3], bars[:, 4], bars[:, 5]

    def closed(self, newest: datetime, minutes: int) -> dict[str, np.ndarray]:
        """Bars of this many minutes up to the one that opens at `newest`, made from the file's own."""
        end = int(newest.timestamp() * 1000) + minutes * 60_000
        kept = self.open_time < end
        slot = self.open_time[kept] // (minutes * 60_000)
        starts = np.flatnonzero(np.diff(slot, prepend=slot[0] - 1))
        return {
            "high": np.maximum.reduceat(self.high[kept], starts),
            "low": np.minimum.reduceat(self.low[kept], starts),
            "close": self.close[kept][np.append(starts[1:], kept.sum()) - 1],
            "volume": np.add.reduceat(self.volume[kept], starts),
        }


@pytest.fixture(scope="module")
def recording(desk: RunningDesk, candle_file: Path) -> File:
    with urlopen(f"{desk.status()['exchange_url']}/sandbox/markets", timeout=20) as answer:
        shift = json.load(answer)[SYMBOL]["recording"]["shift_seconds"]
    return File(candle_file, timedelta(seconds=shift))


def operand(indicator: str, **parameters: Any) -> dict[str, Any]:
    return {"indicator": indicator, **parameters}


CASES: list[tuple[str, dict[str, Any], str, int, Callable[[dict[str, np.ndarray]], float]]] = [
    ("rsi_below", {"timeframe": "1m", "value": 1}, "RSI(14)", 1, lambda c: talib.RSI(c["close"], 14)[-1]),
    ("rsi_above", {"timeframe": "1h", "value": 99}, "RSI(14)", 60, lambda c: talib.RSI(c["close"], 14)[-1]),
    (
        "price_below_lower_band",
        {"timeframe": "5m"},
        "BBLOWER(20)",
        5,
        lambda c: talib.BBANDS(c["close"], 20, 2, 2)[2][-1],
    ),
    (
        "adx_above",
        {"timeframe": "15m", "value": 99},
        "ADX(14)",
        15,
        lambda c: talib.ADX(c["high"], c["low"], c["close"], 14)[-1],
    ),
    (
        "compare",
        {"timeframe": "1h", "left": operand("macd"), "op": ">", "right": 1e9},
        "MACD",
        60,
        lambda c: talib.MACD(c["close"])[0][-1],
    ),
    (
        "compare",
        {"timeframe": "1h", "left": operand("ema", length=33), "op": "<", "right": 0},
        "EMA(33)",
        60,
        lambda c: talib.EMA(c["close"], 33)[-1],
    ),
    (
        "compare",
        {"timeframe": "1m", "left": operand("volume_mean", length=20), "op": "<", "right": 0},
        "",
        1,
        lambda c: c["volume"][-20:].mean(),
    ),
]


@pytest.fixture(scope="module")
def missions_of_cases(desk: RunningDesk, rows: Rows) -> list[str]:
    """One for each case, all of them asked for a tick."""
    missions = [
        rows.mission([rows.task(template, {"symbol": SYMBOL, **params}, None)])
        for template, params, *_ in CASES
    ]
    status = desk.status()
    for mission in missions:
        asked = Request(f"{status['console_url']}/api/missions/{mission}/run", b"")
        asked.add_header("Authorization", f"Bearer {status['api_token']}")
        urlopen(asked, timeout=60).close()
    return missions


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{each[0]} {each[2]}" for each in CASES])
def test_numbers_in_messages_are_those_of_talib_on_the_files_closed_candles(
    rows: Rows, recording: File, missions_of_cases: list[str], case: int
) -> None:
    *_, label, minutes, reference = CASES[case]
    mission = missions_of_cases[case]
    said = "SELECT msg FROM result_log JOIN mission ON mission.id = mission_id WHERE mission.name = %s"
    # Its schedule may have ticked too, at the turn of the minute.
    (message,), *_ = wait_for(lambda: rows(said, mission), f"a result of {mission}")
    found = re.search(r"candle (\d{4}-\d\d-\d\dT\d\d:\d\d)Z", message)
    assert found, message
    newest = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    assert newest + timedelta(minutes=minutes) <= datetime.now(UTC)
    expected = reference(recording.closed(newest, minutes))
    values = [float(number) for number in re.findall(r"=(-?[\d.]+)", message)]
    assert any(value == pytest.approx(expected, rel=1e-6) for value in values), (message, expected, label)


def test_a_new_row_becomes_a_flow_that_ticks_by_itself(desk: RunningDesk, rows: Rows) -> None:
    buy = rows.task("market_buy", {"symbol": SYMBOL, "amount": "0.01"})
    mission = rows.mission(
        [rows.task("compare", {"symbol": SYMBOL, "timeframe": "1m", "left": 1, "op": "<", "right": 2})], buy
    )
    wait_for(lambda: active(desk, mission) == ["1min"], "the schedule of the new Mission")
    ended = wait_for(
        lambda: rows(
            "SELECT result FROM missionary JOIN mission ON mission.id = mission_id"
            " WHERE mission.name = %s AND ended_at IS NOT NULL",
            mission,
        ),
        f"{mission} to have walked through",
        150,
    )
    assert ended == [("passed",)]
    [(status, filled)] = rows(
        "SELECT status, filled FROM trade_order JOIN mission ON mission.id = mission_id WHERE name = %s",
        mission,
    )
    assert (status, float(filled)) == ("filled", 0.01)
    wanted = {
        "flows": {"name": {"any_": [mission]}},
        "flow_runs": {"state": {"name": {"any_": ["Finished"]}}},
    }
    finished = wait_for(lambda: prefect(desk, "/flow_runs/filter", wanted), "its run ended")
    assert len(finished) == 1
    assert mission in finished[0]["name"]
    assert finished[0]["labels"]["missiondesk.outcome"] == "Finished"
    artifacts = prefect(desk, "/artifacts/filter", {"flow_runs": {"id": {"any_": [finished[0]["id"]]}}})
    assert {each["type"] for each in artifacts} == {"progress", "table"}
    tasks = {"flow_runs": {"id": {"any_": [finished[0]["id"]]}}}
    wait_for(lambda: len(prefect(desk, "/task_runs/filter", tasks)) == 2, "both its task runs")


def test_raw_sql_changes_the_schedule_within_two_seconds(desk: RunningDesk, rows: Rows) -> None:
    step = rows.task("condition_is", {"condition": "never"}, "60min")
    mission = rows.mission([step])
    wait_for(lambda: active(desk, mission) == ["60min"], "the first schedule")
    took = []
    for statement, expected in (
        ("UPDATE task SET period = '4h' WHERE id = %s", ["4h"]),
        ("UPDATE mission SET enabled = false WHERE task_ids = ARRAY[%s]::bigint[]", []),
        ("UPDATE mission SET enabled = true WHERE task_ids = ARRAY[%s]::bigint[]", ["4h"]),
        ("UPDATE mission SET crontab = '\"5 4 * * *\"' WHERE task_ids = ARRAY[%s]::bigint[]", ["cron-1"]),
        ("DELETE FROM mission WHERE task_ids = ARRAY[%s]::bigint[]", None),
    ):
        rows(statement, step)
        changed_at = time.monotonic()
        wait_for(lambda expected=expected: active(desk, mission) == expected, f"{expected} after {statement}")
        took.append(time.monotonic() - changed_at)
    # On a busy machine all takes longer: then sooner than somebody who plans a sync by hand.
    began = time.monotonic()
    assert desk.command("sync", "--plan").returncode == 0
    by_hand = time.monotonic() - began
    assert median(took) < max(2, by_hand), (took, by_hand)


def test_two_period_changes_of_one_missionary_flip_the_active_schedule(desk: RunningDesk, rows: Rows) -> None:
    first = rows.task("condition_is", {"condition": "always_true"}, "60min")
    second = rows.task("condition_is", {"condition": "gate"}, "1day")
    third = rows.task("condition_is", {"condition": "never"}, "4h")
    mission = rows.mission([first, second, third])
    rows("INSERT INTO condition (name, valid) VALUES ('gate', false) ON CONFLICT DO NOTHING")
    wait_for(lambda: active(desk, mission) == ["60min"], "the first period")
    assert desk.command("run", mission).returncode == 0
    wait_for(lambda: active(desk, mission) == ["1day"], "the second period")
    rows("UPDATE condition SET valid = true WHERE name = 'gate'")
    assert desk.command("run", mission).returncode == 0
    wait_for(lambda: active(desk, mission) == ["4h"], "the third period")


def test_prefect_deploy_pushes_the_same_deployments(desk: RunningDesk, rows: Rows) -> None:
    rows.mission([rows.task("condition_is", {"condition": "never"}, "1day")])
    wait_for(lambda: "nothing to change" in desk.command("sync", "--plan").stdout, "a synced desk")
    before = {name: each["id"] for name, each in deployments(desk).items()}
    environment = {**desk.environment, "PREFECT_API_URL": desk.prefect_api_url}
    deployed = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert {name: each["id"] for name, each in deployments(desk).items()} == before
    planned = desk.command("sync", "--plan")
    assert planned.stdout.strip() == "nothing to change"


def test_prefect_deploy_into_another_server_is_refused(desk: RunningDesk) -> None:
    environment = {**desk.environment, "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    refused = subprocess.run(
        [sys.executable, "-c", "from deployments.steps import sync_deployments; sync_deployments()"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert refused.returncode != 0
    assert f"export PREFECT_API_URL={desk.prefect_api_url}" in refused.stderr


def test_a_bad_row_ends_red_with_its_field_and_other_missions_go_on(desk: RunningDesk, rows: Rows) -> None:
    bad = rows.mission([rows.task("rsi_belw", {"symbol": SYMBOL, "timeframe": "1m"})])
    worse = rows.mission([rows.task("rsi_below", {"symbol": SYMBOL, "timeframe": "7m"})])
    good = rows.mission([rows.task("condition_is", {"condition": "always_true"})])
    for mission, expected in ((bad, "rsi_below"), (worse, "timeframe")):
        ran = desk.command("run", mission)
        assert ran.returncode == 1
        assert expected in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stdout
    ended = "SELECT result FROM missionary JOIN mission ON mission.id = mission_id WHERE name = %s"
    wait_for(lambda: rows(ended, good) == [("passed",)], f"{good} to walk through", 90)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_running(desk: RunningDesk) -> Iterator[None]:
    yield
    assert desk.interrupt() == 0
    assert desk.processes() == []
