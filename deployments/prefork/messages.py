"""What the worker and one child say to each other over their pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class RunFlow:
    """To the child: run this flow run, whose claim the worker already holds.

    With `over`, the state in which the run has ended without its engine, only the flow's hooks for it run.
    """

    flow_run_id: UUID
    flow_run: str  # prefect's FlowRun as JSON
    entrypoint: str
    directory: str | None
    environment: Mapping[str, str | None]
    over: str | None = None  # prefect's State as JSON


@dataclass(frozen=True)
class Cancel:
    """To the child: end this flow run as Cancelled, if it is still the one that runs."""

    flow_run_id: UUID


@dataclass(frozen=True)
class Stop:
    """To the child: exit after the present flow run."""


@dataclass(frozen=True)
class Ready:
    """From the child: everything is imported, a flow run may come."""


@dataclass(frozen=True)
class Ended:
    """From the child: the flow run is over.

    `settled`: its state at the server needs no further care. `problem`: why it could not run, for the
    message of its Crashed state. `leaving`: the child exits now and takes no more.
    """

    flow_run_id: UUID
    settled: bool
    problem: str | None
    leaving: bool
