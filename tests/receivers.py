"""Real servers that take what channels send: SMTP with and without TLS and login, and HTTP."""

from __future__ import annotations

import email
import email.policy
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.ports import free_port


class Mailbox:
    """What an SMTP server took; the next `refusals` mails it refuses. A `clinging` one lets nobody go."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.mails: list[email.message.EmailMessage] = []
        self.receivers: list[str] = []
        self.refusals = 0
        self.clinging = False
        self.logins: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refusals:
            self.refusals -= 1
            return "451 try again later"
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.receivers += envelope.rcpt_tos
        return "250 taken"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return "451 stay a while" if self.clinging else "221 bye"


@contextmanager
def smtp_server(
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    logins: Mapping[str, str] | None = None,
) -> Iterator[Mailbox]:
    """On a free port of the loopback interface; with `logins` (user → password) it asks for one of them."""
    box = Mailbox(free_port())

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> Any:
        assert logins is not None and isinstance(given, LoginPassword)
        box.logins.append(given.login.decode())
        success = logins.get(given.login.decode()) == given.password.decode()
        return AuthResult(success=success, handled=False)

    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        ssl_context=tls,
        tls_context=starttls,
        require_starttls=starttls is not None,
        authenticator=authenticate if logins else None,
        auth_required=logins is not None,
        auth_require_tls=starttls is not None,
    )
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


class Hook:
    """What an HTTP server was posted; it answers with `status` and `words`."""

    def __init__(self) -> None:
        self.status, self.words = 200, "ok"
        self.posted: list[tuple[str, Mapping[str, str], bytes]] = []
        self.port = 0

    @property
    def contents(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.posted]


@contextmanager
def http_server() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if hook.status == 200:
                hook.posted.append((self.path, dict(self.headers), body))
            self.send_response(hook.status)
            self.send_header("Content-Length", str(len(hook.words)))
            self.end_headers()
            self.wfile.write(hook.words.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for 127.0.0.1, and the file by which clients trust it (SSL_CERT_FILE)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return context, public
