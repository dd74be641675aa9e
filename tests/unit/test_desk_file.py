"""`desk.json`: what is written is read back, and only a living desk counts as running."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from missiondesk.desk_file import (
    DeskFile,
    ProcessIdentity,
    exports,
    read_desk_file,
    remove_desk_file,
    running_desk,
    settings_with_desk,
)
from missiondesk.settings import ExchangeChoice, Settings


@pytest.fixture
def desk() -> DeskFile:
    return DeskFile(
        desk=ProcessIdentity.of(psutil.Process()),
        started_at=datetime.now(UTC),
        database_url=SecretStr("postgresql://me:geheim@db/desk"),
        prefect_api_url="http://127.0.0.1:4200/api",
        exchange="sandbox",
        exchange_url="http://127.0.0.1:7000",
        parts={"worker": ProcessIdentity.of(psutil.Process())},
    )


def test_what_is_written_is_read_back(tmp_path: Path, desk: DeskFile) -> None:
    desk.write(tmp_path)
    assert read_desk_file(tmp_path) == desk
    assert running_desk(tmp_path) == desk


def test_only_its_owner_reads_it_and_no_draft_is_left(tmp_path: Path, desk: DeskFile) -> None:
    desk.write(tmp_path)
    desk.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["desk.json"]
    assert stat.S_IMODE((tmp_path / "desk.json").stat().st_mode) == 0o600


def test_its_password_is_not_shown(desk: DeskFile) -> None:
    assert "geheim" not in repr(desk)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_spoiled_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "desk.json").write_bytes(content)
    assert read_desk_file(tmp_path) is None


def test_nothing_runs_where_nothing_was_started_or_all_was_stopped(tmp_path: Path, desk: DeskFile) -> None:
    assert running_desk(tmp_path) is None
    desk.write(tmp_path)
    remove_desk_file(tmp_path)
    remove_desk_file(tmp_path)
    assert running_desk(tmp_path) is None


def test_a_dead_desk_does_not_run(tmp_path: Path, desk: DeskFile) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        dead = desk.model_copy(update={"desk": ProcessIdentity.of(psutil.Process(process.pid))})
        dead.write(tmp_path)
        assert running_desk(tmp_path) == dead
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert running_desk(tmp_path) is None, "ended, though its parent has not looked yet"
    assert running_desk(tmp_path) is None


def test_another_process_with_the_same_pid_is_not_the_desk(tmp_path: Path, desk: DeskFile) -> None:
    earlier = ProcessIdentity(pid=os.getpid(), started=desk.desk.started - 60)
    desk.model_copy(update={"desk": earlier}).write(tmp_path)
    assert running_desk(tmp_path) is None


def test_other_programs_are_told_where_the_running_desk_is(tmp_path: Path, desk: DeskFile) -> None:
    settings = Settings.load({"MISSIONDESK_HOME": str(tmp_path)})
    assert exports(settings).keys() == {"MISSIONDESK_HOME", "MISSIONDESK_DATABASE_URL"}
    desk.write(tmp_path)
    assert exports(settings) == {
        "MISSIONDESK_HOME": str(tmp_path),
        "MISSIONDESK_DATABASE_URL": "postgresql://me:geheim@db/desk",
        "MISSIONDESK_EXCHANGE": "sandbox",
        "MISSIONDESK_EXCHANGE_URL": "http://127.0.0.1:7000",
        "PREFECT_API_URL": "http://127.0.0.1:4200/api",
    }


def test_what_the_environment_leaves_out_is_as_the_desk_has_it(tmp_path: Path, desk: DeskFile) -> None:
    desk.write(tmp_path)
    settings = settings_with_desk({"MISSIONDESK_HOME": str(tmp_path), "MISSIONDESK_EXCHANGE": "kraken"})
    assert settings.database_url == desk.database_url
    assert settings.exchange is ExchangeChoice.KRAKEN
    assert settings.exchange_url == desk.exchange_url
