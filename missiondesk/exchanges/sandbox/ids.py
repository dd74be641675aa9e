"""Ids of orders and fills in each venue's shape; none is given twice, by no other state (salt) either."""

from __future__ import annotations

import base64
import hashlib
from uuid import UUID


def kraken_id(salt: str, prefix: str, number: int) -> str:
    """OUF4EM-FRGI2-MQMWZD"""
    letters = base64.b32encode(_digest(salt, prefix, number)).decode()
    return f"{prefix}{letters[:5]}-{letters[5:10]}-{letters[10:16]}"


def okx_id(salt: str, prefix: str, number: int) -> str:
    """2497956918703120384"""
    return str(10**18 + int.from_bytes(_digest(salt, prefix, number)[:7]))


def bitmex_id(salt: str, prefix: str, number: int) -> str:
    """5f563ace-005c-49dd-8c44-83fdbdd2fe65"""
    return str(UUID(bytes=_digest(salt, prefix, number)[:16], version=4))


def _digest(salt: str, prefix: str, number: int) -> bytes:
    return hashlib.sha256(f"{salt}{prefix}{number}".encode()).digest()
