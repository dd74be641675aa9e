"""A desk that logs all it can goes through every kind of trouble; no secret stands anywhere afterwards."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from blocks.channels import MailChannel, ServiceChannel
from blocks.exchange_account import ExchangeAccount
from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET
from missiondesk.store.administration import programs, session, with_database
from tests.acceptance.running_desk import RunningDesk
from tests.receivers import certificate, http_server, smtp_server
from tests.waiting import wait_for

pytestmark = [pytest.mark.desk, pytest.mark.timeout(600)]

SECRETS = {
    "the API key": SANDBOX_KEY,
    "the API secret": SANDBOX_SECRET,
    "another API key": "key-that-nobody-knows",
    "a wrong API secret": base64.b64encode(b"a secret that signs nothing valid").decode(),
    "an API secret that is none": "not&base64!",
    "the mail password": "mail-password-of-the-desk",
    "the mail password of the block": "mail-password-of-the-block",
    "the token in an Apprise URL": "T0ken-0f-the-chat",
    "the key of signed posts": "signing-key-of-the-desk",
    "the API token": "api-token-of-the-desk-0123456789",
}
# What Kraken calls API-Sign: 64 bytes in base64. A longer text of which this is a part is something else.
SIGNATURE = re.compile(rb"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/]{86}==")
ACCOUNTS = {
    "block": "keys",
    "environment": "environment",
    "unknown key": "environment",
    "wrong secret": "environment",
    "no secret": "environment",
    "no keys": "environment",
    "no block": "nowhere",
}
TROUBLES: list[dict[str, Any]] = [
    {"endpoint": "AddOrder", "answer": "dropped", "acts": True},
    {"endpoint": "AddOrder", "answer": "truncated"},
    {"endpoint": "AddOrder", "answer": "html", "status": 502},
    {"endpoint": "AddOrder", "answer": "status", "status": 503},
    {"endpoint": "AddOrder", "answer": "error", "error": f"EGeneral:Invalid arguments:{SANDBOX_KEY}"},
    {"endpoint": "AddOrder", "answer": "error", "error": f"EAPI:Bad key {SANDBOX_KEY} {SANDBOX_SECRET}"},
]


class Exercised:
    """The desk after all of it, and everything that it said."""

    def __init__(self, desk: RunningDesk) -> None:
        self.desk = desk
        self.said: dict[str, bytes] = {}
        self.troubles: list[dict[str, Any]] = []

    def sql(self, statement: str, *given: Any) -> list[Any]:
        with session(self.desk.database_url) as cursor:
            cursor.execute(statement, given)
            return list(cursor.fetchall()) if cursor.description else []

    def command(self, *arguments: str) -> None:
        done = self.desk.command(*arguments)
        self.said[" ".join(arguments[:2])] = (done.stdout + done.stderr).encode()

    def ask(self, url: str, given: object = None, token: str | None = None) -> bytes:
        body = None if given is None else json.dumps(given).encode()
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            with urlopen(Request(url, data=body, headers=headers), timeout=30) as answer:
                return bytes(answer.read())
        except HTTPError as refused:
            return refused.read()


@pytest.fixture(scope="module")
def exercised(
    new_desk: Callable[[], RunningDesk], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exercised]:
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("certificate")
        context, trusted = certificate(folder)
        logins = {"desk": SECRETS["the mail password of the block"]}
        mailbox = stack.enter_context(smtp_server(starttls=context, logins=logins))
        hook = stack.enter_context(http_server())
        desk = new_desk()
        desk.environment |= {
            "LOG_LEVEL": "DEBUG",
            "PREFECT_LOGGING_LEVEL": "DEBUG",
            "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
            "MISSIONDESK_API_TOKEN": SECRETS["the API token"],
            "MISSIONDESK_SECRET_KEY": SECRETS["the key of signed posts"],
            "MISSIONDESK_SMTP_HOST": "127.0.0.1",
            "MISSIONDESK_SMTP_PORT": str(mailbox.port),
            "SSL_CERT_FILE": str(trusted),
            "MISSIONDESK_SMTP_USER": "desk",
            "MISSIONDESK_SMTP_PASSWORD": SECRETS["the mail password"],
            "MISSIONDESK_MAIL_FROM": "desk@example.org",
            "MISSIONDESK_MAIL_TO": "one@example.org",
            "MISSIONDESK_CHANNELS": "mail, log",
            "MISSIONDESK_ENVIRONMENT_API_KEY": SANDBOX_KEY,
            "MISSIONDESK_ENVIRONMENT_API_SECRET": SANDBOX_SECRET,
            "MISSIONDESK_UNKNOWN_KEY_API_KEY": SECRETS["another API key"],
            "MISSIONDESK_UNKNOWN_KEY_API_SECRET": SANDBOX_SECRET,
            "MISSIONDESK_WRONG_SECRET_API_KEY": SANDBOX_KEY,
            "MISSIONDESK_WRONG_SECRET_API_SECRET": SECRETS["a wrong API secret"],
            "MISSIONDESK_NO_SECRET_API_KEY": SANDBOX_KEY,
            "MISSIONDESK_NO_SECRET_API_SECRET": SECRETS["an API secret that is none"],
        }
        desk.start()
        desk.wait_until_up()
        after = Exercised(desk)
        save_blocks(after, mailbox.port, hook.port)
        go_through_troubles(after)
        say_everything(after)
        wait_for(lambda: mailbox.mails and hook.posted, "news by the blocks")
        failing = "SELECT count(DISTINCT channel) FROM delivery WHERE problem <> ''"
        wait_for(lambda: after.sql(failing) == [(3,)], "troubles of the other channels")
        after.said["mails"] = b"".join(mail.as_bytes() for mail in mailbox.mails)
        after.said["posts"] = b"".join(body for _, _, body in hook.posted)
        yield after


def save_blocks(desk: Exercised, smtp_port: int, http_port: int) -> None:
    mail = MailChannel(
        host="127.0.0.1",
        port=smtp_port,
        user="desk",
        password=SecretStr(SECRETS["the mail password of the block"]),
        sender="desk@example.org",
        receivers=["one@example.org"],
    )
    token = SECRETS["the token in an Apprise URL"]
    keys = ExchangeAccount(key=SecretStr(SANDBOX_KEY), secret=SecretStr(SANDBOX_SECRET))
    with temporary_settings({PREFECT_API_URL: desk.desk.prefect_api_url}):
        keys.save("keys", _sync=True)
        mail.save("ops-mail", _sync=True)
        ServiceChannel(url=SecretStr(f"json://127.0.0.1:{http_port}/{token}")).save("ops-chat", _sync=True)
        # Nobody listens there.
        ServiceChannel(url=SecretStr(f"json://127.0.0.1:1/{token}")).save("ops-deaf", _sync=True)


def go_through_troubles(desk: Exercised) -> None:
    [(task,)] = desk.sql(
        """INSERT INTO task (name, template, params)
           VALUES ('buy', 'market_buy', '{"symbol": "BTC/USD", "amount": "0.001"}') RETURNING id"""
    )
    for account, credentials in ACCOUNTS.items():
        desk.sql(
            """INSERT INTO account (name, credentials, armed, max_order_notional, max_daily_loss, channels)
               VALUES (%s, %s, true, 100000, 100000, '{ops-mail, ops-chat, ops-deaf, mail, nowhere}')""",
            account,
            credentials,
        )
    walks = [(f"trouble-{number}", "block") for number in range(len(TROUBLES))]
    walks += [(f"keys of {account}", account) for account in ACCOUNTS]
    for mission, account in walks:
        desk.sql(
            """INSERT INTO mission (name, task_ids, account, mode, crontab)
               VALUES (%s, ARRAY[%s::bigint], %s, 'live', '["0 0 1 1 *"]')""",
            mission,
            task,
            account,
        )
    names = [mission for mission, _ in walks]
    deployed = "SELECT flow_name, deployment_id FROM deployment WHERE flow_name = ANY (%s)"
    wait_for(lambda: len(desk.sql(deployed, names)) == len(names), "every Mission is deployed")
    deployments = dict(desk.sql(deployed, names))
    sandbox = json.loads((desk.desk.home / "desk.json").read_text())["exchange_url"]
    with (
        temporary_settings({PREFECT_API_URL: desk.desk.prefect_api_url}),
        get_client(sync_client=True) as client,
    ):

        def run(*missions: str) -> None:
            runs = [client.create_flow_run_from_deployment(deployments[each]).id for each in missions]
            for each in runs:
                wait_for(lambda each=each: client.read_flow_run(each).state.is_final(), str(missions), 90)

        run(*(mission for mission in names if mission.startswith("keys")))
        for trouble in TROUBLES:
            desk.ask(f"{sandbox}/sandbox/faults", trouble)
        run(*(mission for mission in names if mission.startswith("trouble")))
        desk.troubles = json.loads(desk.ask(f"{sandbox}/sandbox/faults"))
        urlopen(Request(f"{sandbox}/sandbox/faults", method="DELETE"), timeout=10).close()


def say_everything(desk: Exercised) -> None:
    """Every page, and every command that speaks."""
    for said in ("doctor", "run trouble-0"):
        desk.command(*said.split())
    trade = ("-s", "diff", "--open-above", "-100000", "--amount", "0.001", "--account", "environment")
    desk.command("market", "exec", "-d", "-m", "sandbox:BTC/USD,sandbox:BTC/USDT", *trade, "--seconds", "5")
    console, token = desk.desk.status()["console_url"], SECRETS["the API token"]
    routes = json.loads(desk.ask(f"{console}/openapi.json"))["paths"]
    for path in routes:
        if "get" in routes[path] and "{" not in path:
            desk.said[f"GET {path}"] = desk.ask(console + path, token=token)
            desk.said[f"GET {path} without a token"] = desk.ask(console + path)
    prefect = desk.desk.prefect_api_url
    for things in ("flow_runs", "task_runs", "logs", "artifacts", "block_documents", "deployments"):
        desk.said[f"Prefect's {things}"] = desk.ask(f"{prefect}/{things}/filter", {})


def dump(desk: Exercised, database: str) -> bytes:
    url = with_database(desk.desk.database_url, database)
    command = [programs() / "pg_dump", "--inserts", f"--dbname={url}"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def files(home: Path) -> Iterator[tuple[str, bytes]]:
    """All that the desk keeps, but for what is there to hold secrets, tables, or the venue's own books."""
    spared = ("secrets", "postgres", "sandbox.db", "sandbox.db-wal", "sandbox.db-shm")
    for top in home.iterdir():
        if top.name not in spared:
            for path in (top, *top.rglob("*")):
                if path.is_file():
                    yield str(path.relative_to(home)), path.read_bytes()


def finds(places: Mapping[str, bytes]) -> list[str]:
    forms = {
        name: [secret.encode(), base64.b64encode(secret.encode()), json.dumps(secret)[1:-1].encode()]
        for name, secret in SECRETS.items()
    }
    found = [
        f"{name} in {place}"
        for place, content in places.items()
        for name, written in forms.items()
        if any(each in content for each in written)
    ]
    return found + [
        f"a signature in {place}: {match[0].decode()}"
        for place, content in places.items()
        for match in SIGNATURE.finditer(content)
    ]


def test_the_search_finds_what_it_looks_for() -> None:
    signature = base64.b64encode(hmac.new(b"secret", b"request", hashlib.sha512).digest())
    plain = f"API-Sign: {signature.decode()}\n{SANDBOX_SECRET}\n".encode()
    assert len(finds({"a log": plain})) == 2
    assert finds({"a log": base64.b64encode(os.urandom(300))}) == []


def test_the_troubles_were_real(exercised: Exercised) -> None:
    assert [trouble["used"] > 0 for trouble in exercised.troubles] == [True] * len(TROUBLES)
    ended = exercised.sql("SELECT DISTINCT status FROM trade_order WHERE mode = 'live'")
    assert {status for (status,) in ended} >= {"filled", "rejected"}
    traded = exercised.said["market exec"].decode()
    assert "DEBUG:" in traded
    assert "diff trades live" in traded, traded
    broke = exercised.sql("SELECT string_agg(msg, ' ') FROM result_log WHERE rule = 'ERROR'")[0][0]
    for expected in ("does not accept the keys", "MISSIONDESK_NO_KEYS_API_KEY", "block 'nowhere'"):
        assert expected in broke
    told = dict(exercised.sql("SELECT channel, max(problem) FROM delivery GROUP BY channel"))
    assert "535" in told["mail"]
    assert "JSON took no message" in told["ops-deaf"]
    assert "expected one Missiondesk Mail Channel" in told["nowhere"]
    assert told["ops-mail"] == told["ops-chat"] == told["log"] == ""


def test_no_secret_is_in_any_table(exercised: Exercised) -> None:
    assert finds({name: dump(exercised, name) for name in ("missiondesk", "prefect")}) == []


def test_no_secret_is_in_any_file(exercised: Exercised) -> None:
    kept = dict(files(exercised.desk.home))
    assert {"logs/worker.log", "logs/console.log", "logs/prefect.log"} <= set(kept)
    assert finds(kept) == []


def test_no_secret_is_said(exercised: Exercised) -> None:
    exercised.said["up"] = exercised.desk.said.encode()
    assert finds(exercised.said) == []


def test_status_for_programs_alone_prints_the_desks_own_token(exercised: Exercised) -> None:
    said = exercised.desk.command("status", "--json").stdout.encode()
    assert finds({"status --json": said}) == ["the API token in status --json"]
