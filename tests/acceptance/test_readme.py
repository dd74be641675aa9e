"""The README and the notebook, executed on a desk as their reader has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from missiondesk.store.administration import session
from tests.acceptance.running_desk import RunningDesk

pytestmark = [pytest.mark.desk, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def desk(new_desk: Callable[[], RunningDesk]) -> RunningDesk:
    desk = new_desk()
    desk.start()
    desk.wait_until_up()
    return desk


@pytest.fixture(scope="module")
def environment(desk: RunningDesk) -> dict[str, str]:
    """A shell in the repository's environment with the desk's home, and nothing else set."""
    return {**desk.environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def run(command: list[str], environment: dict[str, str], text: str = "") -> None:
    done = subprocess.run(
        command,
        input=text,
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def test_every_block_of_the_readme_works_in_order(desk: RunningDesk, environment: dict[str, str]) -> None:
    blocks = BLOCK.findall((REPOSITORY / "README.md").read_text())
    assert len(blocks) >= 8
    shell = f'set -e\neval "$({Path(sys.executable).with_name("missiondesk")} env)"\n'
    for language, text in blocks:
        match language:
            case "bash":
                run(["bash"], environment, shell + text)
            case "sql":
                with session(desk.database_url) as connected:
                    connected.execute(text)
            case "python":
                run([sys.executable, "-"], environment, text)
            case "console":
                for line in text.splitlines():
                    run(["bash", "-c", line.replace("make ", "make --dry-run ", 1)], environment)
            case unknown:
                pytest.fail(f"expected bash, sql, python or console, got a block of {unknown}")


def test_the_notebook_runs(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(REPOSITORY / "docs" / "notebooks" / "ad-hoc.ipynb", as_version=4)
    NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(REPOSITORY)}}).execute()
    shown = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    # What the hour's market answers, and whether a scheduled tick is at it, is not the notebook's to say.
    assert re.search(r"btc-momentum: (Waiting|Finished|Skipped): .+ \(step \d/\d, paper\)", shown)
    assert "from-a-notebook: Finished" in shown
