"""The desk's database as a block, for desks that keep their configuration in Prefect."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr
from sqlalchemy import Engine

from missiondesk.store.database import connect


class Database(Block):
    """A Postgres database that holds Missions."""

    _block_type_name = "Missiondesk Database"
    _block_type_slug = "missiondesk-database"
    _description = "The Postgres database that holds Missions, Tasks and results."

    url: SecretStr = Field(description="postgresql://user:password@host:port/database")

    def engine(self) -> Engine:
        """An engine on the database; nothing is connected before its first use."""
        return connect(self.url.get_secret_value())
