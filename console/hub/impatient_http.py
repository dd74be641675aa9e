"""uvicorn's HTTP protocol without endless patience: who does not send a whole request in time is closed."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s"
)


class Owed(StrEnum):
    """What the peer has to send next."""

    HEAD = "head"
    BODY = "body"


WITHIN_SECONDS = {Owed.HEAD: 15.0, Owed.BODY: 30.0}


class ImpatientHttp(H11Protocol):
    """A head has to be complete `WITHIN_SECONDS` of its first byte, a body of its head.

    uvicorn itself would wait for ever for both. Time in which we don't read does not count.
    """

    _owed: Owed | None = None
    _patience: asyncio.TimerHandle | None = None
    _upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for(Owed.HEAD)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._upgraded or self.transport.is_closing():
            self._wait_for(None)
        elif self.conn.their_state is h11.IDLE:
            self._wait_for(Owed.HEAD)
        elif self.conn.their_state is h11.SEND_BODY:
            self._wait_for(Owed.BODY)
        else:
            self._wait_for(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_for(None)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._upgraded = True
        super().handle_websocket_upgrade(event)

    def _wait_for(self, owed: Owed | None) -> None:
        if owed is self._owed:
            return
        if self._patience is not None:
            self._patience.cancel()
        self._owed = owed
        self._patience = None if owed is None else self._begin_to_wait(owed)

    def _begin_to_wait(self, owed: Owed) -> asyncio.TimerHandle:
        return self.loop.call_later(WITHIN_SECONDS[owed], self._lose_patience, owed)

    def _lose_patience(self, owed: Owed) -> None:
        if self.flow.read_paused:
            self._patience = self._begin_to_wait(owed)
            return
        something_came = owed is Owed.BODY or bool(self.conn.trailing_data[0])
        if something_came and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            said = b"expected the whole %s within %d s" % (owed.encode(), WITHIN_SECONDS[owed])
            self.transport.write(_TOO_SLOW % (len(said), said))
            if self.cycle is not None:
                self.cycle.disconnected = True
        self.transport.close()
