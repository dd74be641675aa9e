"""The sandbox's answers have the keys and types of answers recorded at Kraken."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ccxt
import pytest

from missiondesk.exchanges.sandbox.address import SANDBOX_KEY, SANDBOX_SECRET, ccxt_urls
from missiondesk.exchanges.sandbox.server import SandboxServer

NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
PAIR = "XBTUSDT"
_NUMBERS = (int, float)


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> Path:
    return shared_data / "wire/kraken/rest/nautilus"


@pytest.fixture(scope="module")
def kraken() -> Iterator[ccxt.kraken]:
    """After one filled, one cancelled and one open order."""
    with SandboxServer(clock=lambda: NOW) as server:
        keys = {"apiKey": SANDBOX_KEY, "secret": SANDBOX_SECRET}
        kraken = ccxt.kraken({**keys, "enableRateLimit": False, **ccxt_urls(server.url)})
        kraken.nonce = itertools.count(time.time_ns()).__next__  # ccxt's own is the same for a millisecond
        kraken.create_order("BTC/USDT", "market", "buy", 0.01)
        cancelled = kraken.create_order("BTC/USDT", "limit", "buy", 0.01, 1000)
        kraken.cancel_order(cancelled["id"])
        kraken.create_order("BTC/USDT", "limit", "buy", 0.01, 1000)
        yield kraken


def recording(folder: Path, name: str) -> Any:
    return json.loads((folder / f"http_{name}.json").read_text())["result"]


def unlike(ours: Any, theirs: Any, place: str = "result") -> list[str]:
    """Where our answer lacks a key of theirs or has another type; keys of ours alone are allowed."""
    if isinstance(ours, _NUMBERS) and isinstance(theirs, _NUMBERS) and not isinstance(theirs, bool):
        return []
    if theirs is None or ours is None:
        return []
    if type(ours) is not type(theirs):
        return [f"{place}: {type(ours).__name__} instead of {type(theirs).__name__}"]
    if isinstance(theirs, dict):
        return [
            problem
            for key, value in theirs.items()
            for problem in (
                unlike(ours[key], value, f"{place}.{key}") if key in ours else [f"{place}.{key}: missing"]
            )
        ]
    if isinstance(theirs, list) and theirs and ours:
        if len(theirs) == len(ours) and not isinstance(theirs[0], list):
            pairs = zip(ours, theirs, strict=True)
            return [problem for a, b in pairs for problem in unlike(a, b, f"{place}[]")]
        return unlike(ours[0], theirs[0], f"{place}[]")
    return []


def one(answer: dict[str, Any]) -> Any:
    return next(iter(answer.values()))


def test_public_answers(kraken: ccxt.kraken, recorded: Path) -> None:
    pair = {"pair": PAIR}
    answers = {
        "server_time": kraken.publicGetTime(),
        "system_status": kraken.publicGetSystemStatus(),
        "asset_pairs": kraken.publicGetAssetPairs(pair),
        "ticker": kraken.publicGetTicker(pair),
        "order_book": kraken.publicGetDepth(pair),
        "ohlc": kraken.publicGetOHLC(pair),
        "trades": kraken.publicGetTrades(pair),
    }
    for name, answer in answers.items():
        assert unlike(answer["result"], recording(recorded, name), name) == []


def test_numbers_are_written_with_krakens_decimals(kraken: ccxt.kraken, recorded: Path) -> None:
    def decimals(text: str) -> int:
        return len(text.partition(".")[2])

    ours = kraken.publicGetOHLC({"pair": PAIR})["result"][PAIR][0]
    theirs = recording(recorded, "ohlc")[PAIR][2]
    assert [decimals(str(each)) for each in ours] == [decimals(str(each)) for each in theirs]
    ours = kraken.publicGetDepth({"pair": PAIR})["result"][PAIR]["asks"][0]
    theirs = recording(recorded, "order_book")[PAIR]["asks"][0]
    assert [decimals(str(each)) for each in ours] == [decimals(str(each)) for each in theirs]


def test_assets(kraken: ccxt.kraken, shared_data: Path) -> None:
    lines = (shared_data / "wire/kraken/rest/jkorf_exchangedata.jsonl").read_text().splitlines()
    (assets,) = (json.loads(line) for line in lines if json.loads(line)["name"] == "GetAssets")
    theirs = json.loads(assets["raw"])["result"]
    ours = kraken.publicGetAssets()["result"]
    del theirs["ZEUR"]
    for asset in theirs.values():
        del asset["collateral_value"]
    assert unlike(ours, theirs) == []


def test_private_answers(kraken: ccxt.kraken, recorded: Path) -> None:
    placed = kraken.privatePostAddOrder(
        {"pair": PAIR, "type": "buy", "ordertype": "limit", "price": "1000", "volume": "0.01"}
    )["result"]
    assert (placed["descr"], len(placed["txid"])) == ({"order": "buy 0.01000000 XBTUSDT @ limit 1000.0"}, 1)
    cancelled = kraken.privatePostCancelOrder({"txid": placed["txid"][0]})["result"]
    assert unlike(cancelled, recording(recorded, "cancel_order_spot")) == []
    for endpoint, name, within in (
        ("OpenOrders", "open_orders", "open"),
        ("ClosedOrders", "closed_orders", "closed"),
        ("TradesHistory", "trades_history", "trades"),
    ):
        ours = getattr(kraken, f"privatePost{endpoint}")()["result"]
        theirs = recording(recorded, name)
        example = {key: value for key, value in one(theirs[within]).items() if key != "ledgers"}
        for each in ours[within].values():
            assert unlike(each, example, name) == []
        assert set(ours) >= set(theirs) - {"count"} or name == "open_orders"
    worth = kraken.privatePostTradeBalance()["result"]
    assert set(worth) <= set(recording(recorded, "spot_trade_balance")) | {"mf"}
    assert all(isinstance(owned, str) for owned in kraken.privatePostBalance()["result"].values())


def test_orders_are_the_same_wherever_they_are_asked_for(kraken: ccxt.kraken) -> None:
    closed = kraken.privatePostClosedOrders({"trades": "true"})["result"]["closed"]
    for txid, order in closed.items():
        answer = kraken.privatePostQueryOrders({"txid": txid, "trades": "true"})["result"]
        assert answer == {txid: order}
