"""What a deployment may say to the prefork worker through its job variables."""

from __future__ import annotations

from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorkerResult
from pydantic import Field, field_validator

from deployments.spec import DEFAULT_TIMEOUT_SECONDS


class PreforkVariables(BaseVariables):
    """The job variables of a prefork work pool."""

    timeout_seconds: float = Field(
        default=DEFAULT_TIMEOUT_SECONDS,
        gt=0,
        description="A flow run that lasts longer is killed and ends Crashed.",
    )
    in_turn: bool = Field(
        default=False,
        description="Scheduled runs of the deployment go one after the other: a backlog runs in order.",
    )
    stage: int = Field(
        default=0,
        ge=0,
        description="Above 0: a scheduled run begins after those of lower stages that are due, however "
        "urgent its work queue is.",
    )
    ends_with_worker: bool = Field(
        default=False,
        description="A worker that is stopped cancels the run at once, instead of waiting for its end.",
    )


class PreforkJobConfiguration(BaseJobConfiguration):
    """The job variables of one flow run, checked."""

    timeout_seconds: float = Field(default=DEFAULT_TIMEOUT_SECONDS, gt=0)
    in_turn: bool = False
    stage: int = Field(default=0, ge=0)
    ends_with_worker: bool = False

    @field_validator("command")
    @classmethod
    def _runs_no_command(cls, command: str | None) -> str | None:
        if command:
            raise ValueError(
                f"expected no command, as warm children run the flow itself, got {command!r};"
                " use a work pool of type process for commands"
            )
        return command


class PreforkResult(BaseWorkerResult):
    """How a flow run left its child: status 0 when the child itself reported the end."""
