"""The small parts of the prefork worker: settings, preloading, job variables, entrypoints, exit codes."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from deployments.prefork.child_process import explain_exit
from deployments.prefork.configuration import PreforkJobConfiguration
from deployments.prefork.plans import flow_location
from deployments.prefork.preload import preload
from deployments.prefork.settings import WorkerSettings
from models.errors import InvalidSetting


def test_settings_have_defaults_and_read_lists() -> None:
    settings = WorkerSettings.load({"MISSIONDESK_PRELOAD": "a.b, c ,", "MISSIONDESK_WORKER_CHILDREN": ""})
    assert settings.children >= 1
    assert settings.preload == ("a.b", "c")
    assert WorkerSettings.load({}).preload == ("flows.mission",)


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(InvalidSetting, match=r"MISSIONDESK_WORKER_CHILDREN: .*got '0'"):
        WorkerSettings.load({"MISSIONDESK_WORKER_CHILDREN": "0"})


def test_preloading_reports_only_what_is_there_and_broken(
    capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(str(tmp_path))
    preload(["no_such_module", "no_such_package.module", "json", "broken_module"])
    said = capsys.readouterr().err
    assert "could not preload broken_module" in said
    assert "no_such_module:" not in said and "no_such_package" not in said


def test_the_collection_is_light() -> None:
    code = (
        "import sys, deployments.collection;"
        "print([name for name in ('ccxt', 'pandas', 'talib', 'flows', 'tasks') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_job_variables_are_checked() -> None:
    with pytest.raises(ValidationError, match="expected no command"):
        PreforkJobConfiguration(command="echo")
    with pytest.raises(ValidationError):
        PreforkJobConfiguration(timeout_seconds=0)


def deployment(
    entrypoint: str | None, path: str | None = None, steps: list[dict[str, Any]] | None = None
) -> Any:
    return SimpleNamespace(entrypoint=entrypoint, path=path, pull_steps=steps)


SET_DIRECTORY = {"prefect.deployments.steps.set_working_directory": {"directory": "/code"}}


@pytest.mark.parametrize(
    ("given", "location"),
    [
        (deployment("a.b.flow"), ("a.b.flow", None)),
        (deployment("a.b.flow", steps=[SET_DIRECTORY]), ("a.b.flow", "/code")),
        (deployment("a/b.py:flow", path="/home"), ("/home/a/b.py:flow", "/home")),
        (deployment("a/b.py:flow", path="/home", steps=[SET_DIRECTORY]), ("/code/a/b.py:flow", "/code")),
    ],
)
def test_where_a_flow_is_found(given: Any, location: tuple[str, str | None]) -> None:
    assert flow_location(given) == location


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (deployment(None), "expected an entrypoint"),
        (deployment("a.b", steps=[{"prefect.deployments.steps.git_clone": {}}]), "got 'prefect.deployments"),
    ],
)
def test_code_that_would_have_to_be_fetched_is_refused(given: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        flow_location(given)


@pytest.mark.parametrize(
    ("code", "said"),
    [(-9, "SIGKILL"), (-11, "native code"), (-15, "SIGTERM"), (3, "code 3"), (None, "ended")],
)
def test_exit_codes_are_put_in_words(code: int | None, said: str) -> None:
    assert said in explain_exit(code)
