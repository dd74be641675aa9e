"""uvicorn's HTTP protocol without endless patience: a socket that sends no request is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_WITHIN_SECONDS = 15.0


class ImpatientHttp(H11Protocol):
    """Closes what has not sent a whole request head in time; uvicorn itself would keep it for ever."""

    _impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._impatience = self.loop.call_later(REQUEST_WITHIN_SECONDS, self._close_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        self._be_patient()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._be_patient()
        super().handle_websocket_upgrade(event)

    def _close_if_silent(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()

    def _be_patient(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
