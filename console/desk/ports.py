"""Whether a port of this machine is free, and who has it if not."""

from __future__ import annotations

import socket

import psutil

from models.errors import InvalidSetting

LOOPBACK = "127.0.0.1"


def refuse_used_port(port: int, option: str) -> None:
    """Raises InvalidSetting, naming who listens there and the option with which to choose another port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise InvalidSetting(
                f"port {port} is in use{_by_whom(port)}: end that, or choose another port with {option}"
            ) from None


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                command = " ".join(psutil.Process(connection.pid).cmdline())[:80]
                return f" by {command} (pid {connection.pid})"
    except psutil.Error:  # another user's process
        pass
    return ""
