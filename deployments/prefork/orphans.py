"""The runs that a dead worker of this machine left behind."""

from __future__ import annotations

from prefect.logging import get_logger

from deployments.prefork.flow_runs import FlowRuns
from deployments.prefork.registry import WorkerRegistry

_log = get_logger("workers.prefork")


async def settle_orphans(registry: WorkerRegistry, pool: str, flow_runs: FlowRuns) -> None:
    """Give back what dead workers of `pool` had claimed but not begun, and end as Crashed what they ran.

    A worker counts as dead once it and all its children are gone; those of other machines are left alone.
    """
    dead = list(registry.dead(pool))
    if not dead:
        return
    try:
        names = {worker.record.token: worker.record.name for worker in dead}
        for flow_run, token in await flow_runs.unfinished():
            if token not in names:
                continue
            if flow_run.state is not None and flow_run.state.is_pending():
                await flow_runs.give_back(flow_run)
            else:
                message = f"Its worker {names[token]} died while it ran"
                await flow_runs.settle(flow_run.id, message)
                await flow_runs.settle_inside(flow_run.id, message)
            _log.warning("Flow run %s was left behind by the dead worker %s", flow_run.name, names[token])
        for worker in dead:
            worker.remove()
    finally:
        for worker in dead:
            worker.close()
