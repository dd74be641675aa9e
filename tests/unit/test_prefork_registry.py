from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deployments.prefork.registry import WorkerRegistry

REGISTER = """
import sys
from pathlib import Path
from deployments.prefork.registry import WorkerRegistry
locked = WorkerRegistry(Path(sys.argv[1])).register("pool", "worker")
print(locked.record.token, flush=True)
if sys.argv[2] == "hand on":
    import os
    if os.fork() == 0:
        sys.stdin.readline()
        os._exit(0)
    os._exit(0)
sys.stdin.readline()
os._exit(9)
"""


def another_worker(directory: Path, way: str) -> tuple[subprocess.Popen[str], str]:
    worker = subprocess.Popen(
        [sys.executable, "-c", REGISTER, str(directory), way],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    return worker, worker.stdout.readline().strip()


def tokens_of_dead(directory: Path, pool: str = "pool") -> list[str]:
    found = list(WorkerRegistry(directory).dead(pool))
    for locked in found:
        locked.close()
    return [locked.record.token for locked in found]


def test_a_worker_is_dead_once_its_process_is(tmp_path: Path) -> None:
    worker, token = another_worker(tmp_path, "alone")
    assert tokens_of_dead(tmp_path) == []
    worker.communicate("\n")
    assert tokens_of_dead(tmp_path, "another pool") == []
    assert tokens_of_dead(tmp_path) == [token]


def test_a_worker_lives_on_in_its_children(tmp_path: Path) -> None:
    worker, token = another_worker(tmp_path, "hand on")
    worker.wait()
    assert tokens_of_dead(tmp_path) == []
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write("\n")
    worker.stdin.close()
    worker.stdout.read()  # ends with the child
    worker.stdout.close()
    assert tokens_of_dead(tmp_path) == [token]


def test_only_one_cleans_up_after_a_dead_worker(tmp_path: Path) -> None:
    worker, _ = another_worker(tmp_path, "alone")
    worker.communicate("\n")
    (first,) = WorkerRegistry(tmp_path).dead("pool")
    assert list(WorkerRegistry(tmp_path).dead("pool")) == []
    first.remove()
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_registered_worker_does_not_take_itself_for_dead(tmp_path: Path) -> None:
    registry = WorkerRegistry(tmp_path / "workers")
    locked = registry.register("pool", "worker")
    assert list(registry.dead("pool")) == []
    locked.remove()
    assert list(registry.dead("pool")) == []


def test_what_is_no_lock_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "strange.lock").write_text("?")
    (tmp_path / "half.draft").write_text("")
    assert tokens_of_dead(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 2
