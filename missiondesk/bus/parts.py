"""Texts longer than a NOTIFY takes (8,000 bytes with its end) travel in parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

_MOST_BYTES: Final = 7999
_CONTENT_BYTES: Final = 7900
_MARK: Final = "\x1e"
_PART: Final = re.compile(f"{_MARK}([^:]+):([0-9]+):([0-9]+):(.*)", re.DOTALL)


def parts_of(text: str) -> Iterator[str]:
    """The text itself when it fits; else pieces, each after the mark, an id of the text, place and count."""
    content = text.encode()
    if len(content) <= _MOST_BYTES and not text.startswith(_MARK):
        yield text
        return
    pieces = list(_pieces(content))
    key = uuid4().hex
    for place, piece in enumerate(pieces):
        yield f"{_MARK}{key}:{place}:{len(pieces)}:{piece}"


def _pieces(content: bytes) -> Iterator[str]:
    start = 0
    while start < len(content):
        end = min(start + _CONTENT_BYTES, len(content))
        # Not inside a character.
        while end < len(content) and content[end] & 0xC0 == 0x80:
            end -= 1
        yield content[start:end].decode()
        start = end


class Assembly:
    """Puts parts together again. A text whose parts are not all there when the next one begins is dropped."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[str, list[str]]] = {}

    def whole(self, sender: int, payload: str) -> str | None:
        """The text that this payload completes; None while parts of it are missing.

        sender: parts of one sender come one after the other. What is no part, whatever it begins with, is a
        text by itself.
        """
        part = _PART.fullmatch(payload)
        if part is None:
            return payload
        key, place, count, piece = part.groups()
        if place == "0":
            self._open[sender] = (key, [])
        known, pieces = self._open.get(sender, ("", []))
        if known != key or len(pieces) != int(place):
            return None
        pieces.append(piece)
        if len(pieces) < int(count):
            return None
        del self._open[sender]
        return "".join(pieces)
