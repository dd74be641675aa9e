"""A process that calls a timed task until nothing is left: `timed_process.py TIMESTAMP GROUPS ITEMS PAUSE`.

Each call of the function pauses PAUSE seconds, then adds its items to the table `handled` in one transaction;
with a negative PAUSE it fails instead.
"""

from __future__ import annotations

import os
import random
import sys
import time
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

from missiondesk.timed import timed_task


@timed_task(task="count", task_name="Count", flag="1", unique=["number"])
def count(executed_data: Any, pause: float) -> None:
    if pause < 0:
        raise ValueError("no luck")
    time.sleep(pause)
    items = [(timestamp, item["number"]) for timestamp, items in executed_data.items() for item in items]
    connection = psycopg2.connect(os.environ["MISSIONDESK_DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        execute_values(cursor, "INSERT INTO handled (timestamp, number) VALUES %s", items)
    connection.close()


def main() -> None:
    timestamp, groups, items, pause = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    order = random.SystemRandom()
    executed_data = {
        timestamp - group: order.sample([{"number": number} for number in range(items)], items)
        for group in range(groups)
    }
    sys.stdin.readline()  # all are let go at the same moment
    outcome = count(executed_data, pause)
    sys.stdout.write(f"{outcome.ran} {outcome.skipped}\n")


if __name__ == "__main__":
    main()
