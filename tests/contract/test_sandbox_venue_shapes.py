"""The sandbox's OKX and BitMEX answer in the shapes that the real ones were recorded in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from missiondesk.exchanges.sandbox.server import SandboxServer
from tests.contract.contracts_contract import lots
from tests.contract.exchange_contract import PRICE, Bench, ManualClock
from tests.contract.sandbox_bench import CONTRACTS, opened

# Not in the recordings: OKX tells it of cross margin only, and of newer instruments.
NEWER = {"imr", "instFamily"}


@pytest.fixture
def wire(shared_data: Path) -> Path:
    return shared_data / "wire"


def bench(server: SandboxServer, clock: ManualClock, name: str) -> Bench:
    """With a position, and with one order resting and one done."""
    exchange = opened(server, name, clock)
    bench = Bench(exchange, exchange, clock, lambda price: None, CONTRACTS[name][0])
    bench.place("buy", lots(bench, 5), leverage=3)
    bench.place("buy", lots(bench, 5), PRICE / 2)
    return bench


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(clock=ManualClock()) as server:
        yield server


@pytest.fixture(scope="module")
def okx(server: SandboxServer) -> Bench:
    return bench(server, ManualClock(), "sandbox_okx")


@pytest.fixture(scope="module")
def bitmex(server: SandboxServer) -> Bench:
    return bench(server, ManualClock(), "sandbox_bitmex")


def assert_alike(ours: Any, recorded: Any) -> None:
    """Nothing that the venue does not say, and each value of its kind."""
    assert isinstance(ours, Mapping)
    assert isinstance(recorded, Mapping)
    unknown = ours.keys() - recorded.keys() - NEWER
    assert not unknown
    for name in ours.keys() & recorded.keys():
        mine, theirs = ours[name], recorded[name]
        if mine is not None and theirs is not None:
            assert kind(mine) == kind(theirs), name


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    return "number" if isinstance(value, int | float) else type(value).__name__


def raw(bench: Bench, method: str, params: dict[str, Any] | None = None) -> Any:
    return getattr(bench.market._wire.client, method)(params or {})  # type: ignore[attr-defined]


class TestOkx:
    @pytest.fixture
    def id(self, okx: Bench) -> dict[str, str]:
        return {"instId": okx.symbol.replace("/", "-").replace(":BTC", "")}

    @pytest.mark.parametrize("kind", ["SPOT", "SWAP", "FUTURES"])
    def test_instruments(self, okx: Bench, wire: Path, kind: str) -> None:
        recorded = json.loads((wire / "okx" / "rest" / f"instruments_{kind}_2022-05.json").read_text())
        theirs = {each["instId"].partition("-2")[0]: each for each in recorded["data"]}
        for ours in raw(okx, "publicGetPublicInstruments", {"instType": kind})["data"]:
            like = theirs[ours["instId"].partition("-2")[0]]
            assert_alike(ours, like)
            same = ("ctType", "ctVal", "ctValCcy", "settleCcy", "tickSz", "uly", "baseCcy", "quoteCcy")
            assert {name: ours[name] for name in same} == {name: like[name] for name in same}

    def test_each_alias_is_listed_once_for_each_coin(self, okx: Bench) -> None:
        listed = raw(okx, "publicGetPublicInstruments", {"instType": "FUTURES"})["data"]
        aliases = sorted((each["uly"], each["alias"]) for each in listed)
        wanted = ("next_quarter", "next_week", "quarter", "this_week")
        assert aliases == [(coin, alias) for coin in ("BTC-USD", "ETH-USD") for alias in wanted]

    @pytest.mark.parametrize(
        ("method", "params", "file"),
        [
            ("publicGetMarketTrades", {}, "http_get_trades.json"),
            ("publicGetMarketBooks", {}, "http_get_order_book.json"),
            ("privateGetTradeOrdersHistory", {"instType": "FUTURES"}, "http_get_orders_history.json"),
            ("privateGetTradeOrdersPending", {}, "http_get_orders_pending.json"),
            ("privateGetAccountPositions", {}, "http_get_positions.json"),
        ],
    )
    def test_answers(
        self, okx: Bench, wire: Path, id: dict[str, str], method: str, params: dict[str, str], file: str
    ) -> None:
        recorded = json.loads((wire / "okx" / "rest" / "nautilus" / file).read_text())
        ours = raw(okx, method, id | params)
        assert ours.keys() == recorded.keys()
        assert_alike(ours["data"][0], recorded["data"][0])

    def test_balances(self, okx: Bench, wire: Path) -> None:
        recorded = json.loads(
            (wire / "okx" / "rest" / "nautilus" / "http_get_account_balance.json").read_text()
        )
        ours = raw(okx, "privateGetAccountBalance")
        assert_alike(ours["data"][0], recorded["data"][0])
        assert_alike(ours["data"][0]["details"][0], recorded["data"][0]["details"][0])

    def test_fills(self, okx: Bench, wire: Path, id: dict[str, str]) -> None:
        recorded = json.loads(
            (wire / "okx" / "rest" / "nautilus" / "http_transaction_detail.json").read_text()
        )
        assert_alike(raw(okx, "privateGetTradeFills", id)["data"][0], recorded | {"posSide": "net"})

    def test_candles(self, okx: Bench, wire: Path, id: dict[str, str]) -> None:
        recorded = json.loads((wire / "okx" / "rest" / "nautilus" / "http_get_candlesticks.json").read_text())
        ours = raw(okx, "publicGetMarketCandles", id | {"bar": "1m"})["data"]
        assert [kind(part) for part in ours[0]] == [kind(part) for part in recorded["data"][0]]
        assert (ours[0][-1], ours[1][-1]) == ("0", "1")

    def test_weeks_open_on_monday(self, okx: Bench, id: dict[str, str]) -> None:
        opened = [int(row[0]) for row in raw(okx, "publicGetMarketCandles", id | {"bar": "1Wutc"})["data"]]
        assert {(at // 86_400_000 + 3) % 7 for at in opened} == {0}


class TestBitmex:
    @pytest.mark.parametrize(
        ("method", "file"),
        [
            ("publicGetInstrument", "http_get_instrument_xbtusd.json"),
            ("publicGetTrade", "http_get_trades.json"),
            ("publicGetTradeBucketed", "http_get_trade_bins.json"),
            ("privateGetOrder", "http_get_orders.json"),
            ("privateGetPosition", "http_get_positions.json"),
            ("privateGetExecutionTradeHistory", "http_get_executions.json"),
        ],
    )
    def test_answers(self, bitmex: Bench, wire: Path, method: str, file: str) -> None:
        recorded = json.loads((wire / "bitmex" / "rest" / "nautilus" / file).read_text())
        like = recorded[0] if isinstance(recorded, list) else recorded
        ours = raw(bitmex, method, {"symbol": "XBTUSD", "reverse": True})
        assert_alike(ours[0], like)

    def test_errors(self, bitmex: Bench, wire: Path) -> None:
        recorded = (wire / "bitmex" / "rest" / "nautilus" / "http_error_response.json").read_text()
        client = bitmex.market._wire.client  # type: ignore[attr-defined]
        with pytest.raises(Exception, match="symbol is invalid"):
            client.publicGetInstrument({"symbol": "NONE"})
        assert_alike(json.loads(client.last_http_response), json.loads(recorded))
