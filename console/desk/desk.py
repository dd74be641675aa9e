"""One desk: which parts it has, in which order they come up, and what is written about them."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil

from console.desk import prefect_api
from console.desk.databases import prepare_databases
from console.desk.environment import asyncpg_url, for_parts, for_prefect_server, prefect_database
from console.desk.exchange_choice import answers, choose
from console.desk.leftovers import end_earlier_programs
from console.desk.log_pipes import PipedLog
from console.desk.options import DeskOptions
from console.desk.parts import (
    CONSOLE,
    LISTENER,
    LOGS,
    ORDER,
    PREFECT,
    SANDBOX,
    SETUP,
    WORKER,
    PlainLog,
    PostgresPart,
    ProcessPart,
)
from console.desk.ports import LOOPBACK, free_port, refuse_used_port
from console.desk.supervisor import DRAIN_SECONDS, Say, StopRequest, Supervisor
from missiondesk.desk_file import DeskFile, ProcessIdentity
from missiondesk.settings import ExchangeChoice, Settings
from missiondesk.store.database import connect
from missiondesk.store.embedded import EmbeddedPostgres
from missiondesk.store.timed_desk import desk_attends

WORK_POOL = "desk"
_READY_SECONDS = 180.0
_LONGER_DRAIN_SECONDS = {WORKER: 65.0}

Ready = Callable[[], bool]


class Desk:
    """Needs the home for itself alone (`HomeLock`)."""

    def __init__(self, settings: Settings, options: DeskOptions, say: Say, stop: StopRequest) -> None:
        self._settings = settings
        self._options = options
        self._say = say
        self._stop = stop
        self._supervisor = Supervisor(stop, say, self._write_file, time.monotonic)
        self._file = DeskFile(
            desk=ProcessIdentity.of(psutil.Process()),
            started_at=datetime.now(UTC),
            database_url=self._settings.database_url,
            feed_markets=self._settings.feed_markets,
            options=tuple(options.arguments()),
        )
        self._logs: dict[str, PipedLog] = {}
        self._prefect_url = f"http://{LOOPBACK}:{self._settings.prefect_port}/api"

    def come_up(self) -> None:
        """Raises MissiondeskError with what is in the way, and StopRequested."""
        for folder in ("logs", "prefect", "results"):
            (self._settings.home / folder).mkdir(mode=0o700, exist_ok=True)
        speaking = [PostgresPart.name, *(name for name in ORDER if name != LOGS)]
        self._logs |= {name: PipedLog(self._log(name)) for name in speaking}
        end_earlier_programs(self._settings.home, self._say)
        refuse_used_port(self._settings.prefect_port, "--prefect-port")
        refuse_used_port(self._settings.console_port, "--console-port")
        self._write_file()
        self._start_keeping_logs()
        if self._settings.embedded:
            server = PostgresPart(EmbeddedPostgres(self._settings.home), self._logs[PostgresPart.name])
            self._supervisor.bring_up(server, _READY_SECONDS, drain_seconds=60)
        prepare_databases(self._settings, self._say)
        exchange = self._open_exchange()
        environment = for_parts(self._settings, self._prefect_url, exchange)
        self._start_prefect(environment)
        self._set_up(environment)
        self._launch_worker(environment)
        self._launch(LISTENER, ["-m", "deployments.listener"], environment, self._is_attended)
        self._launch_console(environment)
        self._supervisor.wait_until_ready(_READY_SECONDS)
        self._write_file()

    def note_that_it_is_up(self) -> None:
        """For `missiondesk start`, which returns then: all that is to be said of it has been said."""
        self._file = self._file.model_copy(update={"is_up": True})
        self._write_file()

    def revive(self) -> None:
        self._supervisor.revive()

    def go_down(self) -> None:
        self._supervisor.take_down()
        for log in self._logs.values():
            log.close()

    @property
    def prefect_ui_url(self) -> str:
        return self._prefect_url.removesuffix("/api")

    def _start_keeping_logs(self) -> None:
        settings = self._settings
        limits = [str(settings.log_bytes), str(settings.log_files)]
        command = [sys.executable, "-m", "console.desk.log_keeper", str(self._log(LOGS).parent), *limits]
        keeper = ProcessPart(
            LOGS,
            [*command, *self._logs],
            settings.home,
            os.environ,
            is_ready=lambda: True,
            log=PlainLog(self._log(LOGS)),
        )
        self._supervisor.bring_up(keeper, ready_seconds=10)

    def _open_exchange(self) -> Mapping[str, str]:
        exchange, remark = choose(self._settings.exchange)
        self._say(remark)
        found = {"MISSIONDESK_EXCHANGE": exchange.value}
        if exchange is ExchangeChoice.SANDBOX:
            port = free_port()
            url = f"http://{LOOPBACK}:{port}"
            options = ["--port", str(port), "--state", str(self._settings.home / "sandbox.db")]
            if self._options.candles is not None:
                options += ["--candles", str(self._options.candles)]
            environment = for_parts(self._settings, self._prefect_url, found)
            self._start(
                SANDBOX,
                ["-m", "missiondesk.exchanges.sandbox", *options],
                environment,
                is_ready=lambda: answers(f"{url}/0/public/Time", seconds=1),
            )
            found["MISSIONDESK_EXCHANGE_URL"] = url
            self._file = self._file.model_copy(update={"exchange_url": url})
        self._file = self._file.model_copy(update={"exchange": exchange.value})
        return found

    def _start_prefect(self, environment: Mapping[str, str]) -> None:
        database = asyncpg_url(
            self._settings.database_url.get_secret_value(), prefect_database(self._settings)
        )
        port = str(self._settings.prefect_port)
        self._start(
            PREFECT,
            ["-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", port],
            {**environment, **for_prefect_server(self._settings, database)},
            is_ready=lambda: answers(f"{self._prefect_url}/health", seconds=1),
        )
        self._file = self._file.model_copy(update={"prefect_api_url": self._prefect_url})
        self._write_file()

    def _set_up(self, environment: Mapping[str, str]) -> None:
        step = self._part(SETUP, ["-m", "console.desk.setup"], environment, is_ready=lambda: True)
        self._supervisor.run_through(step, seconds=300)

    def _launch_worker(self, environment: Mapping[str, str]) -> None:
        name = f"desk on {socket.gethostname()}"
        began = datetime.now(UTC)
        self._launch(
            WORKER,
            ["-m", "prefect", "worker", "start", "--pool", WORK_POOL, "--type", "prefork", "--name", name],
            environment,
            is_ready=lambda: name in prefect_api.workers_since(self._prefect_url, WORK_POOL, began),
        )

    def _launch_console(self, environment: Mapping[str, str]) -> None:
        port = self._settings.console_port
        url = f"http://{LOOPBACK}:{port}"
        self._launch(
            CONSOLE,
            ["-m", "console.api", "--port", str(port)],
            environment,
            is_ready=lambda: answers(f"{url}/health", seconds=1),
        )
        self._file = self._file.model_copy(update={"console_url": url})

    def _is_attended(self) -> bool:
        """Whether the listener has come so far that it attends to timed tasks."""
        engine = connect(self._settings.database_url.get_secret_value())
        try:
            return desk_attends(engine)
        finally:
            engine.dispose()

    def _start(
        self, name: str, arguments: list[str], environment: Mapping[str, str], is_ready: Ready
    ) -> None:
        self._launch(name, arguments, environment, is_ready)
        self._supervisor.wait_until_ready(_READY_SECONDS)

    def _launch(
        self, name: str, arguments: list[str], environment: Mapping[str, str], is_ready: Ready
    ) -> None:
        part = self._part(name, arguments, environment, is_ready)
        self._supervisor.launch(part, _LONGER_DRAIN_SECONDS.get(name, DRAIN_SECONDS))

    def _part(
        self, name: str, arguments: list[str], environment: Mapping[str, str], is_ready: Ready
    ) -> ProcessPart:
        command, log = [sys.executable, *arguments], self._logs[name]
        return ProcessPart(name, command, self._settings.home, environment, is_ready, log)

    def _log(self, name: str) -> Path:
        return self._settings.home / "logs" / f"{name}.log"

    def _write_file(self) -> None:
        parts = {
            part.name: ProcessIdentity.of(process)
            for part in self._supervisor.parts
            if (process := part.process()) is not None
        }
        self._file = self._file.model_copy(update={"parts": parts})
        self._file.write(self._settings.home)
