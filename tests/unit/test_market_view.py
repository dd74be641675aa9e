"""What `missiondesk market watch` draws, on terminals of any width."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from console.verbs.market_view import market_view
from missiondesk.feeds.board import Board, Place
from missiondesk.strategies.spreads import Pair
from models.quote import Quote

NOW = datetime(2026, 1, 2, tzinfo=UTC)
A, B = Place("okx", "BTC/USD:BTC-260327"), Place("kraken", "BTC/USD")
PRICES = [Decimal(text) for text in ("30236.1", "0.18050747", "30236.2", "1407700.0")]


def drawn(width: int, board: Board) -> str:
    console = Console(width=width, file=StringIO(), force_terminal=False)
    console.print(market_view(board, [A, B], Pair(A, B), NOW))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_no_number_is_ever_cut(width: int) -> None:
    board = Board()
    for place in (A, B):
        board.put(Quote(*place, *PRICES, NOW, NOW - timedelta(seconds=1.2)))
    text = drawn(width, board)
    assert "…" not in text
    for number in PRICES:
        assert text.count(f"{number:f}") == 2
    for told in ("okx:BTC/USD:BTC-260327", "kraken:BTC/USD", "1.2 s", "0.0000%", "2026-01-02 00:00:00 UTC"):
        assert told in text
    assert max(map(len, text.splitlines())) <= width
    assert ("│" in text) == (width >= 80)


def test_what_may_not_be_priced_is_said_and_left_out() -> None:
    board = Board()
    board.put(Quote(*A, *PRICES, NOW, NOW - timedelta(seconds=61)))
    text = drawn(80, board)
    assert "the quote of okx:BTC/USD:BTC-260327 is 61 s old, needs at most 60 s" in text
    assert "kraken:BTC/USD has not been quoted yet" in text
    assert "30236" not in text
