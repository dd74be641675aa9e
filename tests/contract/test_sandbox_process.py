"""The sandbox as a process: one line when it is ready, clear refusals, everything kept through kill -9."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import signal
import subprocess
import sys
import urllib.parse
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from missiondesk.exchanges.sandbox.address import READY_LINE, SANDBOX_KEY, SANDBOX_SECRET
from missiondesk.exchanges.sandbox.process import SandboxProcess
from missiondesk.exchanges.sandbox.server import listening_socket
from tests.ports import free_port


def private(url: str, endpoint: str, nonce: int, **params: object) -> Any:
    """A signed call, written down here a second time from Kraken's description."""
    body = urllib.parse.urlencode({"nonce": nonce, **params})
    path = f"/0/private/{endpoint}"
    digest = hashlib.sha256(f"{nonce}{body}".encode()).digest()
    signature = hmac.new(base64.b64decode(SANDBOX_SECRET), path.encode() + digest, hashlib.sha512).digest()
    headers = {"API-Key": SANDBOX_KEY, "API-Sign": base64.b64encode(signature).decode()}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return httpx.post(f"{url}{path}", content=body, headers=headers).json()


def test_orders_balances_and_nonces_outlive_a_kill(tmp_path: Path, shared_data: Path) -> None:
    candles = shared_data / "ohlcv/binance/BTC-USDT_1m.csv.gz"
    order = {"pair": "XBTUSDT", "type": "buy", "volume": "0.1"}
    with SandboxProcess(
        candles=candles, state=tmp_path / "state", port=free_port(), balances={"USDT": Decimal(50_000)}
    ) as sandbox:
        private(sandbox.url, "AddOrder", 1, ordertype="market", **order)
        private(sandbox.url, "AddOrder", 2, ordertype="limit", price="1000", cl_ord_id="resting", **order)
        address = sandbox.url
        orders = httpx.get(f"{sandbox.url}/sandbox/orders").json()
        balances = httpx.get(f"{sandbox.url}/sandbox/balances").json()
        moved = httpx.get(f"{sandbox.url}/sandbox/markets").json()["BTC/USDT"]["recording"]
        sandbox.kill()
        sandbox.start()
        assert sandbox.url == address
        again = httpx.get(f"{sandbox.url}/sandbox/orders").json()
        for each in (*orders, *again):
            del each["matched_until"]
        assert again == orders
        assert [order["status"] for order in again] == ["closed", "open"]
        assert httpx.get(f"{sandbox.url}/sandbox/balances").json() == balances
        assert httpx.get(f"{sandbox.url}/sandbox/markets").json()["BTC/USDT"]["recording"] == moved
        assert private(sandbox.url, "Balance", 2)["error"] == ["EAPI:Invalid nonce"]
        held = private(sandbox.url, "BalanceEx", 3)["result"]["USDT"]
        assert held["balance"] == f"{Decimal(balances['USDT']):.8f}"
        assert held["hold_trade"] == "100.40000000"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "missiondesk.exchanges.sandbox", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_what_it_cannot_start_with_is_said_on_one_line(tmp_path: Path) -> None:
    with listening_socket() as taken:
        taken.listen()
        port = taken.getsockname()[1]
        in_use = run("--port", str(port))
    assert in_use.returncode == 1
    assert in_use.stderr == f"Error: port {port} on 127.0.0.1: Address already in use; give another --port\n"
    missing = run("--candles", str(tmp_path / "nowhere"))
    assert (missing.returncode, "there is no such file or folder" in missing.stderr) == (1, True)
    unreadable = run("--secret", "not base64!")
    assert (unreadable.returncode, "not base64" in unreadable.stderr) == (1, True)
    balance = run("--balance", "USD")
    assert (balance.returncode, "expected ASSET=AMOUNT" in balance.stderr) == (2, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_asked_to(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "missiondesk.exchanges.sandbox"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(READY_LINE)
        os.kill(process.pid, number)
        process.wait(20)
        assert process.stderr.read() == ""
