"""Who may use the API: holders of the token where one is set, else programs of this machine, but no web page.

Without a token the API trusts loopback. A web page that runs in a browser on this machine can reach loopback
too; browsers say so in headers that pages can't forge (Host, Origin, Sec-Fetch-Site), and those are checked.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from console.api.refusals import Refusal, refused
from console.loopback import LOOPBACK_NAMES
from missiondesk.components.settings import HubSettings
from missiondesk.settings import Settings

_POLICY_VIOLATION = 1008
_SCHEME = "bearer "


@dataclass(frozen=True)
class _No:
    status: HTTPStatus
    reason: str


def guard(app: FastAPI, settings: Settings, open_paths: Iterable[str] = ()) -> None:
    """Check who asks and, where MISSIONDESK_ALLOWED_HOSTS is set, by which name.

    The names of loopback are always allowed: by them the desk looks whether its own part answers.

    Raises InvalidSetting for settings of mail, or of the pro environment, that are missing.
    """
    app.add_middleware(Access, token=settings.given_api_token, open_paths=open_paths)
    if allowed_hosts := HubSettings.load().allowed_hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*allowed_hosts, *sorted(LOOPBACK_NAMES)])


class Access:
    """ASGI middleware for HTTP and websockets. `open_paths` need no token, for they tell nothing."""

    def __init__(self, app: ASGIApp, token: SecretStr | None, open_paths: Iterable[str] = ()) -> None:
        self._app = app
        self._token = None if token is None else token.get_secret_value().encode()
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        no = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if no is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": no.reason})
        else:
            headers = {"WWW-Authenticate": "Bearer"} if no.status is HTTPStatus.UNAUTHORIZED else None
            await refused(no.status, Refusal(message=no.reason), headers)(scope, receive, send)

    def _refusal(self, scope: Scope) -> _No | None:
        headers = Headers(scope=scope)
        if _from_another_site(headers, scope.get("method", "GET")):
            return _No(HTTPStatus.FORBIDDEN, "web pages of other sites may not use this API")
        if self._token is None:
            return _strange_host(headers)
        if scope["path"] in self._open_paths or self._shows_token(scope, headers):
            return None
        return _No(
            HTTPStatus.UNAUTHORIZED,
            "expected the header `Authorization: Bearer TOKEN` with the token of MISSIONDESK_API_TOKEN, "
            + ("got another token" if "authorization" in headers else "got no such header"),
        )

    def _shows_token(self, scope: Scope, headers: Headers) -> bool:
        shown = headers.get("authorization", "")
        given = [shown[len(_SCHEME) :].strip()] if shown.lower().startswith(_SCHEME) else []
        if scope["type"] == "websocket":  # browsers can't set headers for them
            given += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        expected = self._token or b""
        return any(hmac.compare_digest(each.encode("utf-8", "surrogateescape"), expected) for each in given)


def _from_another_site(headers: Headers, method: str) -> bool:
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        return True
    elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    follows_link = headers.get("sec-fetch-mode") == "navigate" and method in ("GET", "HEAD")
    return elsewhere and not follows_link


def _strange_host(headers: Headers) -> _No | None:
    try:
        name = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        name = None
    if name in LOOPBACK_NAMES:
        return None
    return _No(
        HTTPStatus.FORBIDDEN,
        f"expected localhost or 127.0.0.1 in the header Host, got {headers.get('host', '')!r}: "
        "to be reached by other names, set MISSIONDESK_API_TOKEN",
    )
