"""What an earlier desk left running, because its own process was killed."""

from __future__ import annotations

from pathlib import Path

from console.desk.parts import ORDER, PostgresPart
from console.desk.processes import end, marked_processes
from console.desk.supervisor import Say
from missiondesk.store.embedded import EmbeddedPostgres


def end_earlier_programs(home: Path, say: Say) -> None:
    """End them in the reverse of the order in which they came up. Its database server is left alone."""
    for part in reversed(ORDER):
        processes = marked_processes(home, part)
        if processes:
            say(f"ending {part}, which an earlier desk left behind (pid {processes[0].pid})")
            end(processes[:1], patience_seconds=20)
            end(processes[1:], patience_seconds=1)


def end_earlier_desk(home: Path, say: Say) -> None:
    """End all of it, its database server too."""
    end_earlier_programs(home, say)
    server = EmbeddedPostgres(home)
    if (process := server.process()) is not None:
        say(f"stopping {PostgresPart.name}, which an earlier desk left behind (pid {process.pid})")
        server.stop()
