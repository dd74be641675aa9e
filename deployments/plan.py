"""The difference between what Prefect has and what it should have, as a list of changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from deployments.spec import DeploymentSpec, ScheduleSpec


@dataclass(frozen=True)
class Deployed:
    """A deployment as Prefect has it. `strays` are ids of schedules that carry no slug of ours."""

    deployment_id: UUID
    spec: DeploymentSpec
    schedule_ids: Mapping[str, UUID]
    strays: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class Create:
    spec: DeploymentSpec

    @property
    def flow_name(self) -> str:
        return self.spec.flow_name

    def __str__(self) -> str:
        return f"+ {self.flow_name}\n" + "\n".join(
            f"    + {_shown(schedule)}" for schedule in self.spec.schedules
        )


@dataclass(frozen=True)
class Update:
    """`fields` names what differs beside the schedules; `schedules` are to be set, `gone` to be deleted."""

    spec: DeploymentSpec
    deployment_id: UUID
    fields: tuple[str, ...]
    schedules: tuple[ScheduleSpec, ...]
    gone: tuple[UUID, ...]
    was: DeploymentSpec

    @property
    def flow_name(self) -> str:
        return self.spec.flow_name

    def __str__(self) -> str:
        before = {schedule.slug: schedule for schedule in self.was.schedules}
        lines = [f"~ {self.flow_name}"]
        lines += [
            f"    ~ {name}: {getattr(self.was, name)!r} → {getattr(self.spec, name)!r}"
            for name in self.fields
        ]
        for schedule in self.schedules:
            old = before.get(schedule.slug)
            lines.append(f"    ~ {_shown(old)} → {_shown(schedule)}" if old else f"    + {_shown(schedule)}")
        wanted = {schedule.slug for schedule in self.spec.schedules}
        lines += [f"    - {_shown(old)}" for slug, old in before.items() if slug not in wanted]
        return "\n".join(lines)


@dataclass(frozen=True)
class Delete:
    flow_name: str
    deployment_id: UUID

    def __str__(self) -> str:
        return f"- {self.flow_name}"


Change = Create | Update | Delete

# What of a spec Prefect can change in place; a new flow or deployment name means delete and create.
_FIELDS = (
    "entrypoint",
    "parameters",
    "work_pool",
    "work_queue",
    "description",
    "tags",
    "job_variables",
    "paused",
)


def plan(desired: Iterable[DeploymentSpec], deployed: Mapping[str, Deployed]) -> list[Change]:
    """Changes that turn `deployed` (by key) into `desired`; empty when they already agree."""
    changes: list[Change] = []
    wanted = {spec.key: spec for spec in desired}
    for key, old in deployed.items():
        new = wanted.get(key)
        if new is None or (new.flow_name, new.name) != (old.spec.flow_name, old.spec.name):
            changes.append(Delete(old.spec.flow_name, old.deployment_id))
    for key, spec in wanted.items():
        old_or_none = deployed.get(key)
        if old_or_none is None or (spec.flow_name, spec.name) != (
            old_or_none.spec.flow_name,
            old_or_none.spec.name,
        ):
            changes.append(Create(spec))
        elif update := _update(spec, old_or_none):
            changes.append(update)
    return changes


def _update(spec: DeploymentSpec, old: Deployed) -> Update | None:
    fields = tuple(name for name in _FIELDS if getattr(spec, name) != getattr(old.spec, name))
    had = {schedule.slug: schedule for schedule in old.spec.schedules}
    wanted = {schedule.slug for schedule in spec.schedules}
    schedules = tuple(schedule for schedule in spec.schedules if had.get(schedule.slug) != schedule)
    gone = tuple(id for slug, id in old.schedule_ids.items() if slug not in wanted) + old.strays
    if not (fields or schedules or gone):
        return None
    return Update(spec, old.deployment_id, fields, schedules, gone, old.spec)


def _shown(schedule: ScheduleSpec) -> str:
    state = "active" if schedule.active else "inactive"
    return f"{schedule.slug} ({schedule.cron} {schedule.timezone}, {state})"
