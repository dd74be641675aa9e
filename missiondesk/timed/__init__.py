"""Timed tasks: a function is called for each item once, at its time, whichever processes try."""

from __future__ import annotations

from missiondesk.timed.decorator import timed_task

__all__ = ["timed_task"]
