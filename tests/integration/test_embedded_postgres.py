"""The embedded PostgreSQL server: started by anyone, killed anywhere, started again."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg2
import pytest
from sqlalchemy import make_url

from missiondesk.store.administration import drop_database, has_tables, programs, session
from missiondesk.store.embedded import EmbeddedPostgres
from models.errors import CallOperator, DatabaseUnreachable, InvalidSetting
from tests.waiting import wait_for

FAST = {"fsync": "off"}


@pytest.fixture
def server(short_home: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(short_home / "home", FAST)
    yield server
    server.stop()


def ask(server: EmbeddedPostgres, question: str, database: str = "postgres") -> object:
    with session(server.url(database)) as connected:
        connected.execute(question)
        row = connected.fetchone()
        return None if row is None else row[0]


def keep_a_row(server: EmbeddedPostgres) -> None:
    with session(server.url("postgres")) as connected:
        connected.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        connected.execute("INSERT INTO kept VALUES (1)")


def start_elsewhere(home: Path) -> subprocess.Popen[str]:
    """Another process that starts the server, says so, and stays."""
    program = (
        "import sys, pathlib; from missiondesk.store.embedded import EmbeddedPostgres as E;"
        "E(pathlib.Path(sys.argv[1]), {'fsync': 'off'}).start(); print('ready', flush=True); sys.stdin.read()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def end(starter: subprocess.Popen[str]) -> None:
    starter.kill()
    starter.communicate()


def test_it_answers_on_its_socket_alone(server: EmbeddedPostgres) -> None:
    server.start()
    assert ask(server, "SHOW listen_addresses") == ""
    assert ask(server, "SHOW max_connections") == "300"
    assert ask(server, "SHOW server_encoding") == "UTF8"
    assert ask(server, "SELECT lower('ÄÖ')") == "äö"
    process = server.process()
    assert process is not None
    assert not [found for found in process.net_connections() if found.family.name != "AF_UNIX"]


def test_prefects_extension_is_there(server: EmbeddedPostgres) -> None:
    server.start()
    with session(server.url("postgres")) as connected:
        connected.execute("CREATE EXTENSION pg_trgm")


def test_no_directory_is_opened_to_others(server: EmbeddedPostgres, short_home: Path) -> None:
    server.start()
    for folder in (short_home, short_home / "home", server.directory, server.data, server.log.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert stat.S_IMODE((server.directory / ".s.PGSQL.5432").stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
def test_as_root_it_runs_as_a_user_of_its_own(server: EmbeddedPostgres) -> None:
    server.start()
    process = server.process()
    assert process is not None
    assert process.uids().effective != 0
    assert process.uids().effective == server.data.stat().st_uid


def test_the_home_is_not_opened_when_it_was_closed_before(short_home: Path) -> None:
    home = short_home / "closed"
    home.mkdir(mode=0o700)
    server = EmbeddedPostgres(home, FAST)
    server.start()
    try:
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
    finally:
        server.stop()


def test_urls_are_what_every_driver_reads(server: EmbeddedPostgres) -> None:
    assert server.url("desk") == f"postgresql://postgres@/desk?host={server.directory}"
    assert server.asyncpg_url("desk") == f"postgresql+asyncpg://postgres@/desk?host={server.directory}"
    assert make_url(server.asyncpg_url("desk")).query["host"] == str(server.directory)


def test_a_home_with_odd_characters_works(short_home: Path) -> None:
    server = EmbeddedPostgres(short_home / 'a b%&"', FAST)
    server.start()
    try:
        assert ask(server, "SELECT 1") == 1
        assert make_url(server.asyncpg_url("desk")).query["host"] == str(server.directory)
    finally:
        server.stop()


def test_stopped_and_started_it_keeps_its_rows(server: EmbeddedPostgres) -> None:
    server.start()
    keep_a_row(server)
    server.stop()
    assert server.process() is None
    with pytest.raises(DatabaseUnreachable):
        ask(server, "SELECT 1")
    server.start()
    assert ask(server, "SELECT count(*) FROM kept") == 1


def test_stopping_does_not_wait_for_clients(server: EmbeddedPostgres) -> None:
    server.start()
    client = psycopg2.connect(server.url("postgres"))
    client.cursor().execute("SELECT 1")
    server.stop()
    assert server.process() is None
    client.close()


def test_stopping_what_never_ran_is_fine(server: EmbeddedPostgres) -> None:
    server.stop()
    server.start()
    server.stop()
    server.stop()


def test_a_second_start_takes_the_running_server_over(server: EmbeddedPostgres) -> None:
    server.start()
    first = server.process()
    other = EmbeddedPostgres(server.directory.parent, FAST)
    other.start()
    assert other.process() == first
    other.stop()
    assert server.process() is None


def test_after_a_kill_of_the_server_it_starts_again(server: EmbeddedPostgres) -> None:
    server.start()
    keep_a_row(server)
    for _ in range(3):
        process = server.process()
        assert process is not None
        process.kill()
        server.start()
        assert ask(server, "SELECT count(*) FROM kept") == 1


def test_a_busy_backend_that_outlives_its_server_is_ended(server: EmbeddedPostgres) -> None:
    server.start()
    client = psycopg2.connect(server.url("postgres"))
    backend = client.info.backend_pid
    with ThreadPoolExecutor(1) as threads:
        busy = "DO $$ DECLARE n bigint := 0; BEGIN LOOP n := n + 1; END LOOP; END $$"
        running = threads.submit(client.cursor().execute, busy)
        others = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
        wait_for(lambda: ask(server, others) == 1)
        process = server.process()
        assert process is not None
        process.kill()
        server.start()
        assert isinstance(running.exception(), psycopg2.OperationalError)
    client.close()
    assert not psutil.pid_exists(backend)


def test_a_stale_pid_file_with_another_programs_pid_does_not_matter(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    stale = f"{os.getpid()}\n{server.data}\n1700000000\n5432\n{server.directory}\n\n  1 2\nready\n"
    (server.data / "postmaster.pid").write_text(stale)
    (server.directory / ".s.PGSQL.5432.lock").write_text(stale)
    (server.directory / ".s.PGSQL.5432").touch()
    assert server.process() is None
    server.start()
    assert ask(server, "SELECT 1") == 1


@pytest.mark.parametrize("content", ["", "no number\n", "999999999\n"])
def test_a_spoiled_pid_file_does_not_matter(server: EmbeddedPostgres, content: str) -> None:
    server.start()
    server.stop()
    (server.data / "postmaster.pid").write_text(content)
    server.start()


def test_the_server_outlives_a_kill_of_its_starter_and_is_taken_over(server: EmbeddedPostgres) -> None:
    starter = start_elsewhere(server.directory.parent)
    assert starter.stdout is not None
    assert starter.stdout.readline() == "ready\n"
    orphan = server.process()
    end(starter)
    server.start()
    assert server.process() == orphan
    server.stop()
    assert server.process() is None


@pytest.mark.parametrize("delay", [0.25, 0.4, 0.55, 0.7, 0.85])
def test_a_starter_killed_while_it_starts_leaves_nothing_in_the_way(
    server: EmbeddedPostgres, delay: float
) -> None:
    starter = start_elsewhere(server.directory.parent)
    try:
        starter.wait(delay)
    except subprocess.TimeoutExpired:
        end(starter)
    server.start()
    assert ask(server, "SELECT 1") == 1


def test_two_starters_at_once_share_one_server(server: EmbeddedPostgres) -> None:
    starters = [start_elsewhere(server.directory.parent) for _ in range(3)]
    for starter in starters:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
    process = server.process()
    assert process is not None
    assert all(
        found.ppid() == process.pid
        for found in psutil.process_iter()
        if works_in(found, server.data) and found != process
    )
    for starter in starters:
        end(starter)


def works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name() == "postgres" and process.cwd() == os.path.realpath(folder)
    except psutil.Error:
        return False


def test_a_path_too_long_for_a_socket_is_refused(short_home: Path) -> None:
    with pytest.raises(InvalidSetting, match="MISSIONDESK_HOME: expected a short path"):
        EmbeddedPostgres(short_home / ("x" * 100))


def test_a_path_with_a_comma_is_refused(short_home: Path) -> None:
    with pytest.raises(InvalidSetting, match="without commas"):
        EmbeddedPostgres(short_home / "a,b")


def test_data_of_another_major_version_is_left_alone(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    version = server.data / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(CallOperator) as refused:
        server.start()
    assert f"the data in {server.data} is of PostgreSQL 17, expected 18" in str(refused.value)
    assert "pg_dumpall" in str(refused.value)
    version.write_text("18\n")


def test_a_server_that_does_not_come_up_says_why(short_home: Path) -> None:
    server = EmbeddedPostgres(short_home, {"shared_buffers": "a lot"})
    with pytest.raises(DatabaseUnreachable, match='invalid value for parameter "shared_buffers"'):
        server.start()


def test_databases_are_made_once_copied_and_dropped(server: EmbeddedPostgres) -> None:
    server.start()
    assert server.create_database("one")
    assert not server.create_database("one")
    with session(server.url("one")) as connected:
        connected.execute("CREATE TABLE kept (number int)")
    assert server.create_database("two", template="one")
    assert has_tables(server.url("two"))
    with session(server.url("two")):
        drop_database(server.url("postgres"), "two")
    with pytest.raises(DatabaseUnreachable, match='"two" does not exist'):
        has_tables(server.url("two"))


def test_many_who_make_one_database_at_once(server: EmbeddedPostgres) -> None:
    server.start()
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: server.create_database("one"), range(4)))
    assert made.count(True) == 1


def test_a_dump_can_be_read_back(server: EmbeddedPostgres, short_home: Path) -> None:
    server.start()
    keep_a_row(server)
    dump = short_home / "backups" / "postgres.dump"
    server.dump("postgres", dump)
    assert stat.S_IMODE(dump.stat().st_mode) == 0o600
    server.create_database("copy")
    subprocess.run([programs() / "pg_restore", f"--dbname={server.url('copy')}", dump], check=True)
    assert ask(server, "SELECT count(*) FROM kept", "copy") == 1


def test_a_dump_that_fails_leaves_no_file(server: EmbeddedPostgres, short_home: Path) -> None:
    server.start()
    with pytest.raises(DatabaseUnreachable, match="could not be dumped"):
        server.dump("missing", short_home / "missing.dump")
    assert [path.name for path in short_home.iterdir()] == ["home"]


def test_sigint_to_the_starters_terminal_does_not_reach_the_server(server: EmbeddedPostgres) -> None:
    handler = signal.getsignal(signal.SIGINT)
    server.start()
    process = server.process()
    assert process is not None
    assert os.getsid(process.pid) != os.getsid(0)
    assert signal.getsignal(signal.SIGINT) is handler
