"""How a Task reaches a component: its data is fetched, it is commanded once, its outputs are written back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, select

from missiondesk.components.commands import Commands, mark_written
from missiondesk.components.data import RequiredData
from missiondesk.components.registry import Registry
from missiondesk.components.requirements import requirements_of
from missiondesk.settings import Settings
from missiondesk.store.database import transaction
from missiondesk.templates.context import Context
from models.component import CommandStatus, Component, Outcome, Work
from models.component_tables import workflow

# A component whose server process died is back within seconds.
OFFLINE_PATIENCE_SECONDS = 15.0


class ComponentGateway:
    """Implements `templates.context.Components`."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._registry = Registry(engine)
        self._commands = Commands(engine, settings.database_url.get_secret_value())
        self._data = RequiredData(engine, settings.home / "data")

    def work(
        self, context: Context, module: str, args: Any, timeout_seconds: float, *, repeatable: bool
    ) -> Outcome:
        """One command per place of a walk: an open one is followed, one that succeeded is not repeated.

        Nor is one in doubt, unless the work is `repeatable`: the walk stays with its outcome.

        Raises UnknownName, and InputRefused for data that the component requires and that is not there.
        """
        component = self._registry.find(module)
        work = Work(
            args=self._with_data(component, args, context),
            execution_time=context.scheduled_at,
            workflow_id=self._workflow_id(context.mission_id),
            workflow_name=context.mission,
            timeout_seconds=timeout_seconds,
            wait_seconds=OFFLINE_PATIENCE_SECONDS,
            place=f"{context.missionary_id}/{context.role}/{context.task_index}/{context.leaf}",
            repeatable=repeatable,
        )
        execution_id = self._commands.give_once(component.id, work)
        outcome = self._commands.wait(execution_id, OFFLINE_PATIENCE_SECONDS + timeout_seconds)
        if outcome.status is CommandStatus.WAITING:
            self._commands.withdraw(execution_id, "other commands kept its component busy all the time")
        if not outcome.status.final:
            outcome = self._commands.wait(execution_id, timeout_seconds + OFFLINE_PATIENCE_SECONDS)
        if outcome.status is CommandStatus.SUCCEEDED and outcome.outputs is not None:
            self._write_back(component, outcome)
        return outcome

    def _write_back(self, component: Component, outcome: Outcome) -> None:
        """Once, though each tick that comes by this place again finds the outcome again."""
        with transaction(self._engine) as connection:
            if mark_written(connection, outcome.execution_id):
                self._data.write(connection, requirements_of(component.output_data), outcome.outputs)

    def _with_data(self, component: Component, args: Any, context: Context) -> Any:
        requirements = requirements_of(component.input_data)
        if not requirements:
            return args
        data = [
            {
                "table_kind": each.table_kind,
                "table_name": each.table_name,
                "rows": self._data.rows(each, context.scheduled_at),
            }
            for each in requirements
        ]
        return {**(args if isinstance(args, dict) else {"args": args}), "data": data}

    def _workflow_id(self, mission_id: int) -> str:
        with self._engine.connect() as connection:
            found = connection.scalar(
                select(workflow.c.workflow_id).where(workflow.c.mission_id == mission_id)
            )
        return found or str(mission_id)
