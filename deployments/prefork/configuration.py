"""What a deployment may say to the prefork worker through its job variables."""

from __future__ import annotations

from datetime import timedelta

from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorkerResult
from pydantic import Field, field_validator

from models.mission import MissedRuns


class PreforkVariables(BaseVariables):
    """The job variables of a prefork work pool."""

    timeout_seconds: float = Field(
        default=600, gt=0, description="A flow run that lasts longer is killed and ends Crashed."
    )
    missed_runs: MissedRuns | None = Field(
        default=None,
        description="Of the scheduled runs that a downtime left behind: `skip` runs none that is later than"
        " max_lateness_seconds, `latest` the newest, `all` every one, in order. Unset: all, in any order.",
    )
    max_lateness_seconds: float = Field(
        default=300, gt=0, description="How late a scheduled run may start when missed_runs is `skip`."
    )


class PreforkJobConfiguration(BaseJobConfiguration):
    """The job variables of one flow run, checked."""

    timeout_seconds: float = Field(default=600, gt=0)
    missed_runs: MissedRuns | None = None
    max_lateness_seconds: float = Field(default=300, gt=0)

    @field_validator("command")
    @classmethod
    def _runs_no_command(cls, command: str | None) -> str | None:
        if command:
            raise ValueError(
                f"expected no command, as warm children run the flow itself, got {command!r};"
                " use a work pool of type process for commands"
            )
        return command

    @property
    def max_lateness(self) -> timedelta:
        return timedelta(seconds=self.max_lateness_seconds)


class PreforkResult(BaseWorkerResult):
    """How a flow run left its child: status 0 when the child itself reported the end."""
