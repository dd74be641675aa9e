"""How each venue subscribes, answers and writes its order books on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from missiondesk.exchanges.sandbox.playback.books import SIDES, Book, BookSide


class Dialect(Protocol):
    """Of one venue. A topic is a channel and a market's id, such as `books:BTC-USDT`."""

    @property
    def books(self) -> str:
        """The pattern of the recorded files with order books, below `ws/`."""
        ...

    def topic(self, frame: Any) -> str | None:
        """Of a recorded frame; None for one that is no order book."""
        ...

    def wanted(self, request: Any) -> Sequence[str]:
        """The topics that a client's request subscribes to."""
        ...

    def accepted(self, request: Any, topic: str) -> str: ...

    def refused(self, request: Any, topic: str) -> str: ...

    def pong(self, text: str) -> str | None:
        """The answer to a ping that is a text of its own; None for other texts."""
        ...

    def apply(self, book: Book, frame: Any) -> None:
        """What a recorded frame does to its book."""
        ...

    def rest_answer(self, recorded: str) -> str:
        """A recorded answer as the venue would give it today."""
        ...

    def rest_book(self, market_id: str, book: Book) -> Any:
        """The book as the venue's REST answers with it; None where REST has no books."""
        ...


class _AsRecorded:
    def rest_answer(self, recorded: str) -> str:
        return recorded


class Okx(_AsRecorded):
    books = "books.jsonl"

    def topic(self, frame: Any) -> str | None:
        arg = frame.get("arg", {})
        return f"books:{arg['instId']}" if arg.get("channel") == "books" and "data" in frame else None

    def wanted(self, request: Any) -> Sequence[str]:
        if request.get("op") != "subscribe":
            return []
        return [f"{arg['channel']}:{arg['instId']}" for arg in request["args"]]

    def accepted(self, request: Any, topic: str) -> str:
        channel, _, instrument = topic.partition(":")
        return json.dumps({"event": "subscribe", "arg": {"channel": channel, "instId": instrument}})

    def refused(self, request: Any, topic: str) -> str:
        channel, _, instrument = topic.partition(":")
        said = f"channel:{channel},instId:{instrument} doesn't exist"
        return json.dumps({"event": "error", "msg": said, "code": "60018"})

    def pong(self, text: str) -> str | None:
        return "pong" if text == "ping" else None

    def apply(self, book: Book, frame: Any) -> None:
        if frame["action"] == "snapshot":
            book.clear()
        for change in frame["data"]:
            for name, side in SIDES:
                for price, amount, *_ in change[name]:
                    book.put(side, price, float(price), float(amount))

    def rest_book(self, market_id: str, book: Book) -> Any:
        levels = {
            name: [[f"{price}", f"{amount}", "0", "1"] for price, amount in book.levels(side)]
            for name, side in SIDES
        }
        return {"code": "0", "msg": "", "data": [levels]}


class Bitmex(_AsRecorded):
    books = "orderBookL2.jsonl.gz"

    def topic(self, frame: Any) -> str | None:
        if frame.get("table") != "orderBookL2":
            return None
        return f"orderBookL2:{frame['data'][0]['symbol']}"

    def wanted(self, request: Any) -> Sequence[str]:
        return list(request["args"]) if request.get("op") == "subscribe" else []

    def accepted(self, request: Any, topic: str) -> str:
        return json.dumps({"success": True, "subscribe": topic, "request": request})

    def refused(self, request: Any, topic: str) -> str:
        said = f"Unknown or expired symbol: {topic}."
        return json.dumps({"status": 400, "error": said, "meta": {}, "request": request})

    def pong(self, text: str) -> str | None:
        return "pong" if text == "ping" else None

    def apply(self, book: Book, frame: Any) -> None:
        if frame["action"] == "partial":
            book.clear()
        for row in frame["data"]:
            side: BookSide = "bid" if row["side"] == "Buy" else "ask"
            if frame["action"] == "delete":
                book.remove(side, row["id"])
            else:
                book.put(side, row["id"], row.get("price"), row["size"])

    def rest_book(self, market_id: str, book: Book) -> Any:
        return [
            {"symbol": market_id, "id": place, "side": word, "size": int(amount), "price": price}
            for (_, side), word in zip(SIDES, ("Buy", "Sell"), strict=True)
            for place, (price, amount) in enumerate(book.levels(side))
        ]


class KrakenFutures:
    books = "book.jsonl"

    def topic(self, frame: Any) -> str | None:
        if frame.get("feed") not in ("book", "book_snapshot"):
            return None
        return f"book:{frame['product_id']}"

    def wanted(self, request: Any) -> Sequence[str]:
        if request.get("event") != "subscribe":
            return []
        return [f"{request['feed']}:{product.upper()}" for product in request["product_ids"]]

    def accepted(self, request: Any, topic: str) -> str:
        feed, _, product = topic.partition(":")
        return json.dumps({"event": "subscribed", "feed": feed, "product_ids": [product]})

    def refused(self, request: Any, topic: str) -> str:
        return json.dumps({"event": "error", "message": "Invalid product id"})

    def pong(self, text: str) -> str | None:
        return None

    def rest_answer(self, recorded: str) -> str:
        """Names had small letters in REST once, and amounts no precision."""
        answer = json.loads(recorded)
        for instrument in answer["instruments"]:
            instrument["symbol"] = instrument["symbol"].upper()
            instrument.setdefault("contractValueTradePrecision", 0)
        return json.dumps(answer)

    def apply(self, book: Book, frame: Any) -> None:
        if frame["feed"] == "book_snapshot":
            book.clear()
            _put_all(book, frame)
        else:
            side: BookSide = "ask" if frame["side"] == "sell" else "bid"
            book.put(side, frame["price"], frame["price"], frame["qty"])

    def rest_book(self, market_id: str, book: Book) -> Any:
        levels = {name: [list(level) for level in book.levels(side)] for name, side in SIDES}
        return {"result": "success", "serverTime": "2026-01-01T00:00:00.000Z", "orderBook": levels}


class Kraken(_AsRecorded):
    books = "v2_book.jsonl"

    def topic(self, frame: Any) -> str | None:
        return f"book:{frame['data'][0]['symbol']}" if frame.get("channel") == "book" else None

    def wanted(self, request: Any) -> Sequence[str]:
        if request.get("method") != "subscribe":
            return []
        return [f"{request['params']['channel']}:{symbol}" for symbol in request["params"]["symbol"]]

    def accepted(self, request: Any, topic: str) -> str:
        channel, _, symbol = topic.partition(":")
        result = {"channel": channel, "symbol": symbol, "depth": 10, "snapshot": True}
        return json.dumps(
            {"method": "subscribe", "result": result, "success": True, "req_id": request.get("req_id")}
        )

    def refused(self, request: Any, topic: str) -> str:
        symbol = topic.partition(":")[2]
        said = f"Currency pair not supported {symbol}"
        return json.dumps({"error": said, "method": "subscribe", "success": False, "symbol": symbol})

    def pong(self, text: str) -> str | None:
        if not text.startswith("{") or json.loads(text).get("method") != "ping":
            return None
        return json.dumps({"method": "pong"})

    def apply(self, book: Book, frame: Any) -> None:
        if frame["type"] == "snapshot":
            book.clear()
        for change in frame["data"]:
            _put_all(book, change)

    def rest_book(self, market_id: str, book: Book) -> Any:
        """Its REST calls the markets otherwise than its websocket, and none of its books are recorded."""
        return None


def _put_all(book: Book, change: Any) -> None:
    """Levels as both Kraken venues write them."""
    for name, side in SIDES:
        for level in change[name]:
            book.put(side, level["price"], level["price"], level["qty"])


DIALECTS: Mapping[str, Dialect] = {
    "okx": Okx(),
    "bitmex": Bitmex(),
    "krakenfutures": KrakenFutures(),
    "kraken": Kraken(),
}
