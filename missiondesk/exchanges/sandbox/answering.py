"""How an answer gets to the client: as it is, or as an injected fault would have it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import HTMLResponse, Response

from missiondesk.exchanges.sandbox.faults import Answer, Fault, Faults

_log = logging.getLogger(__name__)

_NO_FAULT = Fault()
_PAGE = "<html><head><title>{0}</title></head><body><h1>{0} the sandbox's proxy says no</h1></body></html>"


class ConnectionLost(BaseException):
    """The client is to see its connection closed, without an answer.

    No Exception, for which Starlette would answer 500 first.
    """


@dataclass(frozen=True)
class Reply:
    """JSON, and the HTTP status it comes with."""

    body: bytes
    status: int = 200


async def through_faults(
    faults: Faults, endpoint: str, carry_out: Callable[[], Reply], refused: Callable[[str], Reply]
) -> Response:
    """Carry a call out and answer it, unless a fault strikes; `refused` writes an error as the venue does."""
    fault = faults.next_for(endpoint) or _NO_FAULT
    if fault is not _NO_FAULT:
        _log.info("fault at %s: %s", endpoint, fault)
    await asyncio.sleep(fault.wait_before)
    reply = carry_out() if fault.lets_act else Reply(b"")
    await asyncio.sleep(fault.wait_after)
    match fault.answer:
        case Answer.INTACT:
            return _json(reply)
        case Answer.DROPPED:
            raise ConnectionLost
        case Answer.TRUNCATED:
            return _json(Reply(reply.body[: len(reply.body) // 2], reply.status))
        case Answer.HTML:
            return HTMLResponse(_PAGE.format(fault.status), status_code=fault.status)
        case Answer.STATUS:
            return Response(status_code=fault.status)
        case Answer.ERROR:
            return _json(refused(fault.error))


def _json(reply: Reply) -> Response:
    return Response(reply.body, reply.status, media_type="application/json")
