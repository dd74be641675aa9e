"""Which troubles with Prefect's server pass by themselves."""

from __future__ import annotations

import httpx

from models.errors import RetryLater


def is_passing(error: Exception) -> bool:
    """Whether the same call may well succeed later; not where the server refused what it was given."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, (httpx.TransportError, RetryLater))
