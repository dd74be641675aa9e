"""Which workers of this machine are alive: each locks a file of its own until it and its children end."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import reduction
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError


class WorkerRecord(BaseModel):
    """What a lock file says; `token` names the worker in the runs that it claimed."""

    model_config = ConfigDict(frozen=True)

    token: str
    pool: str
    name: str
    pid: int


class SharedDescriptor:
    """A file descriptor that, given to a child process as an argument, is open there as well."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self.descriptor),)


def _received(duplicate: Any) -> SharedDescriptor:
    descriptor: int = duplicate.detach()
    os.set_inheritable(descriptor, False)
    return SharedDescriptor(descriptor)


class LockedRecord:
    """A lock file that this process has locked: its own, or that of a dead worker while it is cleaned up.

    The kernel ends the lock with the last process that holds the descriptor, however it ends; so neither
    process ids, which are used again, nor clocks can mislead. `lock` is handed on to the children.
    """

    def __init__(self, record: WorkerRecord, path: Path, descriptor: int) -> None:
        self.record = record
        self.lock = SharedDescriptor(descriptor)
        self._path = path

    def remove(self) -> None:
        """The worker's runs are all settled: nobody needs to look at it again."""
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Leave the file to whoever looks next."""
        with suppress(OSError):
            os.close(self.lock.descriptor)


class WorkerRegistry:
    """The lock files in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def register(self, pool: str, name: str) -> LockedRecord:
        """Announce this worker for as long as it lives."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        record = WorkerRecord(token=uuid4().hex, pool=pool, name=name, pid=os.getpid())
        draft = self._directory / f"{record.token}.draft"
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, json.dumps(record.model_dump()).encode())
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # It appears under its name locked, so nobody mistakes it for a dead one.
        path = draft.rename(self._directory / f"{record.token}.lock")
        return LockedRecord(record, path, descriptor)

    def dead(self, pool: str) -> Iterator[LockedRecord]:
        """The workers of `pool` that died without settling their runs, each locked against other cleaners."""
        for path in sorted(self._directory.glob("*.lock")):
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                record = WorkerRecord.model_validate_json(path.read_bytes())
            except (BlockingIOError, FileNotFoundError, ValidationError):
                os.close(descriptor)
                continue
            if record.pool == pool:
                yield LockedRecord(record, path, descriptor)
            else:
                os.close(descriptor)
