"""Several things at once, where the first failure is everybody's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable


async def together(coroutines: Iterable[Coroutine[object, object, None]]) -> None:
    """Until all have ended, or one fails: the others are cancelled, and its own exception is raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
