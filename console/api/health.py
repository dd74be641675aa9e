"""Whether the API and its database answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import select

from console.api.refusals import documented
from console.api.stores import DeskStores

PATH = "/health"
router = APIRouter(tags=["Health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get(PATH, responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
def read_health(stores: DeskStores) -> Health:
    with stores.engine.connect() as connection:
        connection.execute(select(1))
    return Health()
