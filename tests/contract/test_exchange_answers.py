"""Answers over a websocket in any order, twice, late, unreadable, or never: each caller gets his own."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from missiondesk.exchanges.ccxt_calls import NoAnswer, SocketCalls
from missiondesk.exchanges.ccxt_errors import Passage, Translation
from missiondesk.exchanges.credentials import Credentials
from missiondesk.exchanges.sandbox.playback.address import playback_urls
from missiondesk.exchanges.sandbox.playback.server import PlaybackServer
from missiondesk.exchanges.venues import venue_of
from tests.contract.socket_venue import SocketVenue
from tests.waiting import PATIENCE_SECONDS

KEYS = Credentials(
    key=SecretStr("hidden-key"), secret=SecretStr("hidden-secret"), passphrase=SecretStr("hidden-words")
)

Said = Literal["taken", "refused", "unreadable", "taken twice", "nothing"]
SAID: Sequence[Said] = ("taken", "refused", "unreadable", "taken twice", "nothing")
NOISE: Sequence[Mapping[str, Any] | str] = (
    {"event": "error", "code": "60012", "msg": "Illegal request: something else"},
    {"id": "1", "op": "order", "code": "0", "data": [{"ordId": "9", "clOrdId": "x", "sCode": "0"}]},
    '{"id": "17',
    "pong",
)


@pytest.fixture(scope="module")
def rest(shared_data: Path) -> Iterator[PlaybackServer]:
    with PlaybackServer({"okx": shared_data / "wire" / "okx"}) as server:
        yield server


@pytest.fixture(scope="module")
def venue() -> Iterator[SocketVenue]:
    with SocketVenue() as started:
        yield started


def calls_to(venue: SocketVenue, rest: PlaybackServer, seconds: float) -> SocketCalls:
    urls = playback_urls(rest.url, "okx") | {"ws": venue.url}
    return SocketCalls("okx", venue_of("okx"), KEYS, url_overrides=urls, answer_seconds=seconds)


@pytest.fixture(scope="module")
def calls(venue: SocketVenue, rest: PlaybackServer) -> Iterator[SocketCalls]:
    made = calls_to(venue, rest, PATIENCE_SECONDS)
    yield made
    made.close()


def placed(calls: SocketCalls, client_order_id: str, passage: Passage) -> str:
    arguments = ("BTC/USDT", "limit", "buy", "0.1", "20000", {"clientOrderId": client_order_id})
    return str(calls.call("create_order_ws", arguments, passage)["id"])


def answered(request: Mapping[str, Any], said: Said) -> Mapping[str, Any]:
    client_order_id = request["args"][0]["clOrdId"]
    whole = {"id": request["id"], "op": request["op"], "msg": ""}
    match said:
        case "refused":
            row = {"clOrdId": client_order_id, "sCode": "51008", "sMsg": "Insufficient balance"}
            return {**whole, "code": "1", "data": [row]}
        case "unreadable":
            return {**whole, "code": "0", "data": [7]}
        case _:
            row = {"ordId": f"of-{client_order_id}", "clOrdId": client_order_id, "sCode": "0", "sMsg": ""}
            return {**whole, "code": "0", "data": [row]}


@settings(max_examples=40, deadline=None)
@given(
    said=st.lists(st.sampled_from(SAID), min_size=1, max_size=6),
    noise=st.lists(st.sampled_from(NOISE), max_size=3),
    order=st.integers(0, 2**32),
)
def test_each_caller_gets_his_own_answer_or_none(
    venue: SocketVenue, calls: SocketCalls, said: list[Said], noise: list[Any], order: int
) -> None:
    passages = {f"caller{number}": Passage() for number in range(len(said))}
    wanted = dict(zip(passages, said, strict=True))
    with ThreadPoolExecutor(len(said)) as pool:
        results: dict[str, Future[str]] = {
            caller: pool.submit(placed, calls, caller, passage) for caller, passage in passages.items()
        }
        requests = [venue.next_request() for _ in said]
        assert len({request["id"] for request in requests}) == len(said)
        frames = [*noise]
        for request in requests:
            what = wanted[request["args"][0]["clOrdId"]]
            frames += [answered(request, what)] * {"nothing": 0, "taken twice": 2}.get(what, 1)
        random.Random(order).shuffle(frames)
        for frame in frames:
            venue.send(frame)
        for caller, what in wanted.items():
            if what in ("taken", "taken twice"):
                assert results[caller].result(PATIENCE_SECONDS) == f"of-{caller}"
            elif what == "refused":
                with pytest.raises(Exception, match="Insufficient balance"):
                    results[caller].result(PATIENCE_SECONDS)
            elif what == "unreadable":
                with pytest.raises(NoAnswer, match="can't be read"):
                    results[caller].result(PATIENCE_SECONDS)
        if "nothing" in said:
            venue.cut()
        for caller, what in wanted.items():
            if what == "nothing":
                with pytest.raises(NoAnswer, match="lost before an answer came"):
                    results[caller].result(PATIENCE_SECONDS)
            assert passages[caller].sent
            assert passages[caller].answered == (what == "refused")


def test_an_answer_after_the_timeout_is_nobodys(venue: SocketVenue, rest: PlaybackServer) -> None:
    impatient = calls_to(venue, rest, 4)
    try:
        with ThreadPoolExecutor(1) as pool:
            # Connecting takes its time out of the first one's patience.
            first = pool.submit(placed, impatient, "first", Passage())
            venue.send(answered(venue.next_request(), "taken"))
            assert first.result(PATIENCE_SECONDS) == "of-first"
            passage = Passage()
            late = pool.submit(placed, impatient, "late", passage)
            forgotten = venue.next_request()
            with pytest.raises(NoAnswer, match="no answer within 4 s"):
                late.result(PATIENCE_SECONDS)
            assert passage.sent and not passage.answered
            venue.send(answered(forgotten, "taken"))
            after = pool.submit(placed, impatient, "next", Passage())
            request = venue.next_request()
            venue.send(answered(forgotten, "taken"))
            venue.send(answered(request, "taken"))
            assert after.result(PATIENCE_SECONDS) == "of-next"
    finally:
        impatient.close()


def test_who_waits_when_it_is_closed_is_told(venue: SocketVenue, rest: PlaybackServer) -> None:
    closed = calls_to(venue, rest, PATIENCE_SECONDS)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(placed, closed, "waiting", Passage())
        venue.next_request()
        closed.close()
        with pytest.raises(NoAnswer):
            waiting.result(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "answer", [{"code": "60012", "msg": "Illegal request"}, {"code": "60009", "msg": "Login failed"}]
)
def test_a_refused_login_is_an_error_for_who_waits_and_the_next_call_tries_again(
    venue: SocketVenue, rest: PlaybackServer, caplog: pytest.LogCaptureFixture, answer: dict[str, str]
) -> None:
    caplog.set_level("DEBUG")
    refused = calls_to(venue, rest, PATIENCE_SECONDS)
    venue.login_answer = answer
    passage = Passage()
    try:
        with pytest.raises(Exception) as told:
            placed(refused, "refused", passage)
        assert not passage.sent
        venue.login_answer = None
        with ThreadPoolExecutor(1) as pool:
            welcome = pool.submit(placed, refused, "welcome", Passage())
            venue.send(answered(venue.next_request(), "taken"))
            assert welcome.result(PATIENCE_SECONDS) == "of-welcome"
    finally:
        venue.login_answer = None
        refused.close()
    said = Translation("okx", venue_of("okx"), KEYS).while_placing(told.value, passage)
    for text in (str(said), caplog.text):
        assert not [secret for secret in (*KEYS.texts, "sign") if secret in text]
