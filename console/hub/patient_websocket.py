"""uvicorn's websocket protocol for modules that can't answer a ping while they work."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class PatientWebSocket(WebSocketsSansIOProtocol):
    """Whoever sent nothing at all for `ping_interval` + `ping_timeout` is offline.

    uvicorn itself would wait for the one pong, whatever else comes meanwhile.
    """

    _heard_at = 0.0

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        super().data_received(data)

    def keepalive_timeout(self) -> None:
        left = self._heard_at + (self.ping_interval or 0) + (self.ping_timeout or 0) - self.loop.time()
        if left > 0:
            self.pong_timer = self.loop.call_later(left, self.keepalive_timeout)
        else:
            super().keepalive_timeout()
