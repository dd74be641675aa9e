"""Whether a port of this machine is free, and who has it if not."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path

import psutil

from models.errors import InvalidSetting

LOOPBACK = "127.0.0.1"

_LOWEST = 20_000
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST_OUTGOING = 32_768  # Linux's own, where it does not say
_asked = itertools.count()


def refuse_used_port(port: int, option: str) -> None:
    """Raises InvalidSetting, naming who listens there and the option with which to choose another port."""
    if not _is_free(port):
        raise InvalidSetting(
            f"port {port} is in use{_by_whom(port)}: end that, or choose another port with {option}"
        )


def free_port(among: range | None = None) -> int:
    """A port that should stay free until its taker comes: each call and each process gets another one.

    Usually not one of those that the system gives to outgoing connections, which could take it meanwhile.
    """
    candidates = among or range(_LOWEST, _lowest_outgoing())
    begin = 97 * os.getpid()  # far enough from a process that was started just before or after
    for _ in candidates:
        port = candidates[(begin + next(_asked)) % len(candidates)]
        if _is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _lowest_outgoing() -> int:
    try:
        return int(_OUTGOING.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _LOWEST_OUTGOING


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                command = " ".join(psutil.Process(connection.pid).cmdline())[:80]
                return f" by {command} (pid {connection.pid})"
    except psutil.Error:  # another user's process
        pass
    return ""
