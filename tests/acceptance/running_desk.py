"""A whole desk as its user starts it, in a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from console.desk.processes import end, marked_processes
from missiondesk.desk_file import running_desk
from missiondesk.store.embedded import EmbeddedPostgres
from tests.ports import free_port
from tests.waiting import wait_for

PROGRAM = str(Path(sys.executable).with_name("missiondesk"))
UP_SECONDS = 150.0


class RunningDesk:
    """`missiondesk up` with these options; its output is in `said`."""

    def __init__(self, home: Path, prefect_port: int, environment: Mapping[str, str] = {}) -> None:
        self.home = home
        self.prefect_port = prefect_port
        self.console_port = free_port()
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MISSIONDESK", "PREFECT"))
        }
        self.environment = {**inherited, "MISSIONDESK_HOME": str(home), **environment}
        self._output = home.with_name(home.name + ".out")
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def ports(self) -> tuple[str, ...]:
        return ("--prefect-port", str(self.prefect_port), "--console-port", str(self.console_port))

    def start(self, *options: str) -> None:
        """Returns at once; `wait_until_up` waits."""
        chosen = options or ("--exchange", "sandbox")
        with self._output.open("ab") as output:
            self._popen = subprocess.Popen(
                [PROGRAM, "up", *self.ports, *chosen],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                start_new_session=True,
            )

    def wait_until_up(self) -> None:
        def up_or_ended() -> bool:
            assert self._popen is not None and self._popen.poll() is None, self.said
            return "the desk is up" in self.said

        wait_for(up_or_ended, f"the desk is up\n{self.said}", UP_SECONDS)

    @property
    def said(self) -> str:
        return self._output.read_text() if self._output.exists() else ""

    def forget_what_was_said(self) -> None:
        self._output.write_text("")

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Another `missiondesk` command in the same home."""
        return subprocess.run(
            [PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment | environment,
            timeout=200,
            check=False,
        )

    @property
    def prefect_api_url(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}/api"

    @property
    def database_url(self) -> str:
        return EmbeddedPostgres(self.home).url("missiondesk")

    def pids(self) -> dict[str, int]:
        """Of each part that the desk has noted, without the second that `status` takes."""
        desk = running_desk(self.home)
        if desk is None:
            return {}
        return {"desk": desk.desk.pid} | {name: part.pid for name, part in desk.parts.items()}

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.command("status", "--json").stdout)
        return found

    def pid(self, part: str) -> int:
        return wait_for(lambda: self.pids().get(part), f"{part} has a pid")

    def interrupt(self, seconds: float = 90) -> int:
        """Ctrl-C in its terminal: the signal reaches its whole process group. The exit code."""
        assert self._popen is not None
        os.killpg(self._popen.pid, signal.SIGINT)
        return self._popen.wait(seconds)

    def kill(self) -> None:
        """kill -9 of `up` itself; what it started goes on."""
        assert self._popen is not None
        self._popen.kill()
        self._popen.wait()

    def processes(self) -> list[psutil.Process]:
        """All that belong to it but `up` itself."""
        postgres = EmbeddedPostgres(self.home).process()
        return marked_processes(self.home) + ([postgres] if postgres is not None else [])

    def clean_up(self) -> None:
        """Whatever state the test left it in."""
        if self._popen is not None and self._popen.poll() is None:
            self.kill()
        if (started := running_desk(self.home)) is not None and (
            process := started.desk.process()
        ) is not None:
            process.kill()
        end(marked_processes(self.home), patience_seconds=0)
        EmbeddedPostgres(self.home).stop()
        self._output.unlink(missing_ok=True)
