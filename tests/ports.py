"""Ports for what tests start, apart from those that desks choose for their own parts."""

from __future__ import annotations

from console.desk import ports

_OF_TESTS = range(10_000, 20_000)


def free_port() -> int:
    """Another one for each call and each test process."""
    return ports.free_port(_OF_TESTS)
