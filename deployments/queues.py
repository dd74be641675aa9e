"""The work queues of our work pool, and which of them the worker looks into first."""

from __future__ import annotations

from collections.abc import Mapping

from prefect.client.orchestration import PrefectClient


async def keep_queues(
    client: PrefectClient, work_pool: str, priorities: Mapping[str, int], runs_at_once: Mapping[str, int]
) -> None:
    """Make the queues that are not there, and set what differs; 1 is the highest priority.

    runs_at_once: for queues whose runs may not take more than so many of the worker's children.
    """
    present = {queue.name: queue for queue in await client.read_work_queues(work_pool_name=work_pool)}
    for name, priority in sorted(priorities.items(), key=lambda item: item[1]):
        limit = runs_at_once.get(name)
        if name not in present:
            await client.create_work_queue(
                name, work_pool_name=work_pool, priority=priority, concurrency_limit=limit
            )
        elif (present[name].priority, present[name].concurrency_limit) != (priority, limit):
            await client.update_work_queue(present[name].id, priority=priority, concurrency_limit=limit)
