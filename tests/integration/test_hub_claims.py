"""Commands are claimed by the indexes, whatever the planner believes of a table that fills and empties."""

from __future__ import annotations

import asyncio
import time

from missiondesk.components.switchboard import Switchboard, sessions

CONNECTIONS, COMMANDS = 200, 3000

GIVE = """
INSERT INTO component_command (component_id, send_by, status)
SELECT component.id, now() + interval '1 hour', $1
FROM component CROSS JOIN generate_series(1, $2::int)
"""


async def claim_with_old_statistics(database_url: str) -> float:
    """Seconds for one claim, while the statistics say that the table is small and nothing in it waits."""
    async with sessions(database_url) as pool:
        hub_id = await pool.fetchval("INSERT INTO hub DEFAULT VALUES RETURNING id")
        await pool.execute(
            "INSERT INTO component (hash, name) SELECT n, n FROM generate_series(1, $1::int) AS n",
            CONNECTIONS,
        )
        await pool.execute(
            "INSERT INTO component_connection (id, component_id, hub_id)"
            " SELECT gen_random_uuid(), id, $1 FROM component",
            hub_id,
        )
        await pool.execute(GIVE, "succeeded", COMMANDS // CONNECTIONS)
        await pool.execute("ANALYZE component_command, component_connection")
        await pool.execute("TRUNCATE component_command")
        board = Switchboard(pool, hub_id)
        connections = [row["id"] for row in await pool.fetch("SELECT id FROM component_connection")]
        for _ in range(8):  # a plan that was made for the empty table stays
            assert await board.claim(connections) == []
        await pool.execute(GIVE, "waiting", COMMANDS // CONNECTIONS)
        begun = time.perf_counter()
        claimed = await board.claim(connections)
        took = time.perf_counter() - begun
        assert len({each.connection_id for each in claimed}) == len(claimed) == CONNECTIONS
    return took


def test_a_burst_of_commands_is_claimed_at_once(database_url: str) -> None:
    assert asyncio.run(claim_with_old_statistics(database_url)) < 3, (
        "0.01 s by the indexes, else many seconds"
    )
