"""Who may use the API: programs of this machine, holders of the token, and no web page of another site."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from click.testing import CliRunner
from fastapi import FastAPI

from console.api.__main__ import main
from console.api.app import create_app
from console.hub.server import create_hub_app
from missiondesk.settings import Settings
from models.errors import InvalidSetting
from tests.integration.served_api import served

TOKEN = "a-token-for-tests"
CHANGES = ("PUT", "/api/conditions/stopped")


@pytest.fixture
def open_api(database_url: str) -> Iterator[httpx.Client]:
    with served(create_app(Settings.load({"MISSIONDESK_DATABASE_URL": database_url}))) as client:
        yield client


@pytest.fixture
def guarded_api(database_url: str) -> Iterator[httpx.Client]:
    given = {"MISSIONDESK_DATABASE_URL": database_url, "MISSIONDESK_API_TOKEN": TOKEN}
    with served(create_app(Settings.load(given))) as client:
        yield client


def change(api: httpx.Client, **headers: str) -> int:
    return api.request(*CHANGES, json={"valid": True}, headers=headers).status_code


def test_without_a_token_set_programs_of_this_machine_need_none(open_api: httpx.Client) -> None:
    assert change(open_api) == 200
    assert change(open_api, Host="localhost:4201") == 200
    assert change(open_api, Host="[::1]:4201") == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[half"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},  # a form, not a link
        {"Host": "evil.example"},  # whose name now leads to 127.0.0.1
        {"Host": "[half"},
    ],
)
def test_a_web_page_of_another_site_changes_nothing(open_api: httpx.Client, headers: dict[str, str]) -> None:
    assert change(open_api, **headers) == 403
    names = [each["name"] for each in open_api.get("/api/conditions").json()]
    assert "stopped" not in names


def test_a_link_from_elsewhere_may_be_followed_and_own_pages_may_change(open_api: httpx.Client) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert open_api.get("/health", headers=followed).status_code == 200
    host = open_api.base_url.netloc.decode()
    assert change(open_api, Origin=f"http://{host}", **{"Sec-Fetch-Site": "same-origin"}) == 200


def test_no_other_site_may_read(open_api: httpx.Client) -> None:
    answer = open_api.get("/api/missions", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer", f"Bearer {TOKEN}x", "Bearer ü"]
)
def test_where_a_token_is_set_nothing_goes_without_it(
    guarded_api: httpx.Client, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    for method, path in (CHANGES, ("GET", "/api/missions"), ("GET", "/metrics"), ("GET", "/nowhere")):
        answer = guarded_api.request(method, path, json={"valid": True}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["status"] == "error"
        assert TOKEN not in answer.text
    assert guarded_api.get("/health", headers=headers).status_code == 200
    assert guarded_api.get("/openapi.json", headers=headers).status_code == 200


def test_the_token_opens_the_api_under_any_name(guarded_api: httpx.Client) -> None:
    shown = {"Authorization": f"Bearer {TOKEN}"}
    assert change(guarded_api, **shown) == 200
    assert change(guarded_api, **shown, Host="desk.example.com") == 200
    assert change(guarded_api, Authorization=f"bearer  {TOKEN}") == 200
    assert guarded_api.get("/api/missions", params={"token": TOKEN}).status_code == 401


def test_it_does_not_listen_to_other_machines_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISSIONDESK_API_TOKEN", raising=False)
    monkeypatch.setenv("MISSIONDESK_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    refused = CliRunner().invoke(main, ["--host", "0.0.0.0", "--port", "0"])
    assert refused.exit_code == 1
    assert "MISSIONDESK_API_TOKEN: expected a token, because 0.0.0.0 can be reached" in refused.output


PRO = {
    "MISSIONDESK_ENVIRONMENT": "pro",
    "MISSIONDESK_SECRET_KEY": "signs what is sent",
    "MISSIONDESK_ALLOWED_HOSTS": "desk.example.org, *.desk.example.net",
    "MISSIONDESK_SMTP_HOST": "mail.example.org",
    "MISSIONDESK_MAIL_FROM": "desk@example.org",
    "MISSIONDESK_MAIL_TO": "one@example.org",
}


@pytest.mark.parametrize("create", [create_app, create_hub_app])
def test_the_pro_environment_answers_to_allowed_names_alone(
    create: Callable[[Settings], FastAPI], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PRO.items():
        monkeypatch.setenv(name, value)
    given = {"MISSIONDESK_DATABASE_URL": database_url, "MISSIONDESK_API_TOKEN": TOKEN}
    with served(create(Settings.load(given))) as api:

        def answered(host: str) -> int:
            headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
            return api.get("/module/online", headers=headers).status_code

        for host in ("desk.example.org", "desk.example.org:443", "eu.desk.example.net", "127.0.0.1:4201"):
            assert answered(host) == 200
        for host in ("evil.example", "desk.example.org.evil.example", "desk.example.net", ""):
            assert answered(host) == 400


@pytest.mark.parametrize("create", [create_app, create_hub_app])
@pytest.mark.parametrize("missing", ["MISSIONDESK_SECRET_KEY", "MISSIONDESK_ALLOWED_HOSTS"])
def test_the_pro_environment_does_not_start_without_its_settings(
    create: Callable[[Settings], FastAPI], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PRO.keys() - {missing}:
        monkeypatch.setenv(name, PRO[name])
    with pytest.raises(InvalidSetting, match=missing):
        create(Settings.load({}))
    if create is create_app:
        refused = CliRunner().invoke(main, ["--port", "0"])
        assert refused.exit_code == 1
        assert f"{missing}: expected a value, got none" in refused.output
