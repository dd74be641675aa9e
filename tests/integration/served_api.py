"""The API as clients meet it: a real HTTP server on a free port of loopback, in a thread of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context

import httpx
import uvicorn
from starlette.types import ASGIApp

STARTS_WITHIN_SECONDS = 30


@contextmanager
def served(app: ASGIApp) -> Iterator[httpx.Client]:
    """A client whose paths are the app's."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", ws="none"))
        # With our context: Prefect's temporary settings stand in it.
        thread = threading.Thread(target=copy_context().run, args=(server.run, [listening]))
        thread.start()
        try:
            deadline = time.monotonic() + STARTS_WITHIN_SECONDS
            while not server.started and time.monotonic() < deadline and thread.is_alive():
                time.sleep(0.01)
            assert server.started, f"expected the API to listen within {STARTS_WITHIN_SECONDS} s"
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()
