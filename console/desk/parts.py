"""What a desk is made of: processes that are launched, become ready, may die, and are stopped."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import psutil

from console.desk.log_files import last_lines
from console.desk.processes import end, marked_processes, marks
from missiondesk.store.embedded import EmbeddedPostgres
from models.errors import MissiondeskError

LOGS, SANDBOX, PREFECT, SETUP, WORKER = "logs", "sandbox", "prefect", "setup", "worker"
LISTENER, CONSOLE = "listener", "console"
# A desk's programs in the order in which they come up.
ORDER = (LOGS, SANDBOX, PREFECT, SETUP, WORKER, LISTENER, CONSOLE)


class Part(Protocol):
    """`process` is None before `launch` and after its end, whatever ended it."""

    @property
    def name(self) -> str: ...
    def launch(self) -> None: ...
    def is_ready(self) -> bool: ...
    def process(self) -> psutil.Process | None: ...
    def stop(self, patience_seconds: float) -> None: ...
    def last_words(self) -> str: ...


class PartLog(Protocol):
    """`output` is what a part opens to append to its log."""

    @property
    def output(self) -> Path: ...
    def last_words(self) -> str: ...


class PlainLog:
    """A file to which the part writes by itself, so that it grows as long as the part speaks."""

    def __init__(self, path: Path) -> None:
        self.output = path

    def last_words(self) -> str:
        return last_lines(self.output)


class PostgresPart:
    """The embedded server; the one part that is taken over from an earlier desk instead of being replaced."""

    name = "postgres"

    def __init__(self, server: EmbeddedPostgres, log: PartLog) -> None:
        self._server, self._log = server, log

    def launch(self) -> None:
        self._server.start(self._log.output)

    def is_ready(self) -> bool:
        return self._server.process() is not None

    def process(self) -> psutil.Process | None:
        return self._server.process()

    def stop(self, patience_seconds: float) -> None:
        self._server.stop()

    def last_words(self) -> str:
        return self._log.last_words()


class ProcessPart:
    """A program in a session of its own, so that a terminal's Ctrl-C does not reach it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        home: Path,
        environment: Mapping[str, str],
        is_ready: Callable[[], bool],
        log: PartLog,
    ) -> None:
        self._name = name
        self._command = tuple(command)
        self._home = home
        self._environment = dict(environment) | dict(marks(home, name))
        self._is_ready = is_ready
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return self._name

    def launch(self) -> None:
        """First ends what an earlier process of this part may have left behind."""
        self._end_rest(patience_seconds=2)
        with self._log.output.open("ab") as output:
            self._popen = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._home,
                env=self._environment,
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        try:
            return self._is_ready()
        except (OSError, ValueError, MissiondeskError):  # what it is asked through is not there yet
            return False

    def process(self) -> psutil.Process | None:
        if self._popen is None or self._popen.poll() is not None:
            return None
        try:
            return psutil.Process(self._popen.pid)
        except psutil.NoSuchProcess:
            return None

    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._popen is None else self._popen.poll()

    def stop(self, patience_seconds: float) -> None:
        if self._popen is not None and self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._end_rest(patience_seconds=0)

    def last_words(self) -> str:
        return self._log.last_words()

    def _end_rest(self, patience_seconds: float) -> None:
        end(marked_processes(self._home, self._name), patience_seconds)
