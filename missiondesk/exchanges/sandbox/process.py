"""A sandbox as a process of its own, for tests that kill it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from missiondesk.exchanges.sandbox.address import READY_LINE


class SandboxProcess:
    """`python -m missiondesk.exchanges.sandbox` with these options.

    port: 0 for any; for one to be killed, none of those that outgoing connections get.

    >>> with SandboxProcess(state=path) as sandbox:
    ...     sandbox.kill()     # as kill -9 does
    ...     sandbox.start()    # again, on the same port
    """

    def __init__(
        self,
        candles: Path | None = None,
        state: Path | None = None,
        port: int = 0,
        seed: int = 1,
        balances: Mapping[str, Decimal] | None = None,
    ) -> None:
        self._options = ["--seed", str(seed)]
        if candles is not None:
            self._options += ["--candles", str(candles)]
        if state is not None:
            self._options += ["--state", str(state)]
        for asset, owned in (balances or {}).items():
            self._options += ["--balance", f"{asset}={owned}"]
        self._port = port
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """None while it is not running."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Returns when it listens; raises RuntimeError with what it said when it does not."""
        command = [sys.executable, "-m", "missiondesk.exchanges.sandbox", "--port", str(self._port)]
        self._process = subprocess.Popen([*command, *self._options], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if not said.startswith(READY_LINE):
            self.kill()
            raise RuntimeError(f"the sandbox did not start: {said.strip() or 'see its messages above'}")
        self._port = int(said.rsplit(":", 1)[1])

    def kill(self) -> None:
        """At once, without a chance to tidy up."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
