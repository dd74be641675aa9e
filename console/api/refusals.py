"""Every answer that is no success has one shape; which error becomes which status stands here alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from models.errors import CallOperator, InputRefused, InvalidRow, MissiondeskError, RetryLater, UnknownName

_LONGEST_SHOWN = 80
_EXPECTED = {"extra_forbidden": "no field of this name", "json_invalid": "valid JSON"}
_RETRY_AFTER = {"Retry-After": "5"}


class Problem(BaseModel):
    """One thing that is wrong: in which row or part of the request, in which field, and what was expected."""

    row: str
    field: str
    expected: str = Field(examples=["expected the id of an existing task, got 7"])


class Refusal(BaseModel):
    """What is wrong and what to do about it."""

    status: Literal["error"] = "error"
    message: str
    problems: list[Problem] = []
    existing: list[str] | None = Field(default=None, description="The names that exist, for an unknown one")
    valid_tasks: list[str] | None = Field(default=None, description="What manual-update can be asked for")


class BadRequest(Exception):
    """A request that one of the routes refuses in words of its own."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refused(status: HTTPStatus, refusal: Refusal, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(refusal.model_dump(exclude_none=True), status, headers)


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The statuses with which a route may refuse, for its page in the OpenAPI document."""
    return {status.value: {"model": Refusal, "description": status.phrase} for status in statuses}


def answer_errors(app: FastAPI) -> None:
    """Make the app answer every exception with a Refusal."""
    app.add_exception_handler(MissiondeskError, _of_ours)
    app.add_exception_handler(BadRequest, _of_bad_request)
    app.add_exception_handler(RequestValidationError, _of_request)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(DataError, _of_data)
    app.add_exception_handler(IntegrityError, _of_integrity)
    app.add_exception_handler(NoConnectionFree, _of_full_pool)
    app.add_exception_handler(Exception, _of_anything)


def problems_of_row(error: InvalidRow) -> list[Problem]:
    return [
        Problem(row=f"{error.table} {error.row!r}", field=field, expected=expected)
        for field, expected in error.problems
    ]


def _of_ours(_request: Request, error: Exception) -> JSONResponse:
    refusal = Refusal(message=str(error))
    match error:
        case UnknownName():
            refusal.existing = error.existing
            return refused(HTTPStatus.NOT_FOUND, refusal)
        case InvalidRow():
            refusal.problems = problems_of_row(error)
            return refused(HTTPStatus.UNPROCESSABLE_ENTITY, refusal)
        case InputRefused():
            return refused(HTTPStatus.CONFLICT, refusal)
        case RetryLater():
            return refused(HTTPStatus.SERVICE_UNAVAILABLE, refusal, _RETRY_AFTER)
        case CallOperator():
            return refused(HTTPStatus.BAD_GATEWAY, refusal)
        case _:
            return refused(HTTPStatus.CONFLICT, refusal)


def _of_bad_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BadRequest)
    return refused(HTTPStatus.BAD_REQUEST, error.refusal)


def _of_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [_problem(detail) for detail in error.errors()]
    said = "; ".join(f"{problem.field}: {problem.expected}" for problem in problems)
    return refused(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Refusal(message=f"the request is not valid: {said}", problems=problems),
    )


def _problem(detail: Mapping[str, Any]) -> Problem:
    place: Sequence[Any] = detail["loc"] or ("request",)
    said = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "missing":
        expected = "expected a value, got none"
    elif said.startswith("expected "):
        expected = said
    else:
        shown = repr(detail.get("input"))
        shown = shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "…"
        expected = f"expected {_EXPECTED.get(detail['type']) or _wanted(said)}, got {shown}"
    return Problem(row=str(place[0]), field=_dotted(place[1:]), expected=_storable(expected))


def _wanted(said: str) -> str:
    """Of "Input should be a number" what comes after "expected"."""
    subject, separator, rest = said.partition(" should ")
    if not separator:
        return said
    return rest.removeprefix("be ") if rest.startswith("be ") else f"the {subject.lower()} to {rest}"


def _dotted(place: Iterable[Any]) -> str:
    return _storable(".".join(str(part) for part in place))


def _storable(text: str) -> str:
    # What was sent may hold half a surrogate pair, which no answer can.
    return text.encode(errors="replace").decode()


def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods_of_path(request))) or headers["Allow"]
    return refused(HTTPStatus(error.status_code), Refusal(message=str(error.detail)), headers)


def _methods_of_path(request: Request) -> set[str]:
    """Those of every route there; the framework names the ones of the first."""
    return {
        method
        for route in request.app.state.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


def _of_data(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DataError)
    said = f"expected values that the database can hold, got: {str(error.orig).strip()}"
    return refused(HTTPStatus.UNPROCESSABLE_ENTITY, Refusal(message=said))


def _of_integrity(_request: Request, _error: Exception) -> JSONResponse:
    said = "another change got in between; look at the rows as they are now, and try again"
    return refused(HTTPStatus.CONFLICT, Refusal(message=said))


def _of_full_pool(_request: Request, _error: Exception) -> JSONResponse:
    said = "too many requests wait for the database; try again"
    return refused(HTTPStatus.SERVICE_UNAVAILABLE, Refusal(message=said), _RETRY_AFTER)


def _of_anything(_request: Request, error: Exception) -> JSONResponse:
    said = f"this was not expected ({type(error).__name__}); the details are in the log of the API"
    return refused(HTTPStatus.INTERNAL_SERVER_ERROR, Refusal(message=said))
