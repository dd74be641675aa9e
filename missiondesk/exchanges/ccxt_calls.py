"""Requests of one account over its venue's websocket: each blocks until its own answer, or says why not.

A request and its answer carry the same id, which ccxt puts in and looks for. What no id leads to its request
(a refusal that names none, a frame that can't be read) is nobody's answer, and never another caller's.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from missiondesk.exchanges.ccxt_errors import Passage
from missiondesk.exchanges.ccxt_socket import SocketClient
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.loop_thread import LoopThread
from missiondesk.exchanges.venues import Venue

log = logging.getLogger(__name__)

_MOST_IDLE_SECONDS: Final = 15.0
_LOGIN: Final = "authenticated"
_LOSSES: Final = frozenset({"NetworkError", "RequestTimeout"})
_REQUEST: Final = re.compile(r"\bop\b")
_KRAKEN_PARTS: Final = frozenset({"method", "params", "req_id"})

# Of the call that the present task makes: what it sends is noted there.
_passage: ContextVar[Passage] = ContextVar("passage")


class NoAnswer(Exception):
    """None came in time, or the connection was lost before. What was asked for may have been done."""


class SocketCalls:
    """For any number of threads at once. Connects at the first call, and again after every loss."""

    def __init__(
        self,
        name: str,
        venue: Venue,
        credentials: Credentials,
        *,
        url_overrides: Mapping[str, Any] | None = None,
        answer_seconds: float = 10.0,
    ) -> None:
        self._name = name
        self._venue = venue
        self._credentials = credentials
        self._url_overrides = url_overrides
        self._answer_seconds = answer_seconds
        self._thread = LoopThread(f"calls to {name}")
        self._socket: SocketClient | None = None
        self._entering: asyncio.Task[SocketClient] | None = None
        self._heard_at = 0.0

    def call(self, method: str, arguments: tuple[Any, ...], passage: Passage) -> Any:
        """What ccxt.pro's method returns. Raises NoAnswer, or what ccxt raises.

        `passage` then tells how far the request came; one that was never sent had no effect.
        """
        return self._thread.begin(self._call(method, arguments, passage)).result()

    def close(self) -> None:
        """Whoever waits gets no answer any more."""
        self._thread.begin(self._leave()).result()
        self._thread.stop()

    async def _call(self, method: str, arguments: tuple[Any, ...], passage: Passage) -> Any:
        try:
            async with asyncio.timeout(self._answer_seconds):
                socket = await self._entered()
                _passage.set(passage)
                return await getattr(socket.ccxt, method)(*arguments)
        except NoAnswer:
            raise
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._answer_seconds:g} s") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise NoAnswer("the connection was closed before an answer came") from None
        except Exception:
            passage.answered = passage.sent
            raise

    async def _entered(self) -> SocketClient:
        # Once for all who call meanwhile: one caller who gives up must not take the others with him.
        if self._entering is None or self._entering.done():
            self._entering = asyncio.create_task(self._enter())
        return await asyncio.shield(self._entering)

    async def _enter(self) -> SocketClient:
        """Connected and logged in. A connection that was silent for long may be none any more."""
        now = asyncio.get_running_loop().time()
        if self._socket is None:
            self._socket = SocketClient(
                self._name,
                self._venue,
                self,
                url_overrides=self._url_overrides,
                credentials=self._credentials,
            )
        elif now - self._heard_at > _MOST_IDLE_SECONDS:
            await self._socket.disconnect()
        try:
            await self._socket.ccxt.load_markets()
            await self._socket.ccxt.authenticate()
        except Exception:
            # After a login that was refused, ccxt would wait for its answer for ever.
            await self._socket.disconnect()
            raise
        self._heard_at = now
        return self._socket

    async def _leave(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    def on_frame(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()

    def on_result(self, result: Any) -> None:
        pass

    def on_send(self, message: Any) -> Any:
        passage = _passage.get(None)
        if passage is not None:
            passage.sent = True
        return _with_parameters_inside(message)

    def on_failure(self, connection: Any, error: BaseException, key: object) -> BaseException | None:
        if key is not None:
            return error
        if type(error).__name__ in _LOSSES:
            return NoAnswer(f"the connection was lost before an answer came: {error}")
        login = connection.futures.get(_LOGIN)
        if login is not None and not login.done():
            connection.reject(_without_request(error), _LOGIN)
        else:
            # Its text may hold the request, and with it what must not be said.
            log.warning("%s refuses something, and does not say what (%s)", self._name, type(error).__name__)
        return None

    def on_unreadable(self, connection: Any, message: Any, error: Exception) -> None:
        key = message.get("id", message.get("req_id")) if isinstance(message, dict) else None
        if key is None:
            log.warning("%s sent what can't be read (%s)", self._name, type(error).__name__)
        else:
            connection.reject(NoAnswer(f"the answer can't be read: {error}"), str(key))


def _without_request(error: BaseException) -> BaseException:
    """OKX repeats a login that it can't read, with its signature."""
    return type(error)("the login was refused") if _REQUEST.search(str(error)) else error


def _with_parameters_inside(message: Any) -> Any:
    """Kraken wants everything in `params`, where ccxt does not put what it does not know."""
    if not isinstance(message, dict) or "params" not in message:
        return message
    others = {name: value for name, value in message.items() if name not in _KRAKEN_PARTS}
    kept = {name: value for name, value in message.items() if name in _KRAKEN_PARTS}
    return {**kept, "params": {**message["params"], **others}}
