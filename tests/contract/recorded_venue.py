"""A venue that answers as it was told, from recordings or word by word, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str

    @property
    def parameters(self) -> dict[str, str]:
        """Of a form body."""
        return dict(parse_qsl(self.body))


@dataclass(frozen=True)
class Answer:
    """`hang` keeps the client waiting until the venue closes; `cut` closes the connection without a byte."""

    body: str = "{}"
    status: int = 200
    hang: bool = False
    cut: bool = False


Script = Answer | Callable[[Request], Answer]


@dataclass
class RecordedVenue:
    """Answers by the end of the path; a list is used up one by one, its last answer stays."""

    url: str = ""
    answers: dict[str, list[Script]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def says(self, end: str, *answers: Script) -> None:
        self.answers[end] = list(answers)

    def result(self, end: str, result: Any) -> None:
        """Kraken's envelope around `result`."""
        self.says(end, Answer(json.dumps({"error": [], "result": result})))

    def error(self, end: str, *errors: str) -> None:
        """Kraken's envelope with one error for each call."""
        self.says(end, *(Answer(json.dumps({"error": [error]})) for error in errors))

    def asked(self, end: str) -> list[Request]:
        return [request for request in self.requests if request.path.endswith(end)]

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        ends = [end for end in self.answers if request.path.endswith(end)]
        if not ends:
            return Answer("nothing recorded", status=404)
        scripts = self.answers[max(ends, key=len)]
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        return script if isinstance(script, Answer) else script(request)


@contextmanager
def recorded_venue() -> Iterator[RecordedVenue]:
    """A venue on a free port of this machine."""
    venue = RecordedVenue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            parts = urlsplit(self.path)
            answer = venue.answer(Request(self.command, parts.path, parts.query, dict(self.headers), body))
            if answer.hang:
                venue.closing.wait(30)
            if answer.hang or answer.cut:
                self.close_connection = True
                return
            content = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    venue.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield venue
    finally:
        venue.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def recordings(path: Path) -> dict[str, str]:
    """Bodies by name from a file with one recorded answer a line."""
    return {record["name"]: record["raw"] for record in map(json.loads, path.read_text().splitlines())}
