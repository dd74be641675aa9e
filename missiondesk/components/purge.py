"""Forgets what components did long ago."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, text

KEPT = timedelta(days=7)


def purge_executions(engine: Engine, kept: timedelta = KEPT) -> int:
    """Delete commands that ended, notifications and connections that are older; how many commands it were.

    What a walk that is still open has asked for stays.
    """
    age = {"kept": kept}
    with engine.connect() as connection:
        commands = connection.execute(text(_COMMANDS), age).rowcount
        for statement in (_NOTIFICATIONS, _CONNECTIONS, _HUBS):
            connection.execute(text(statement), age)
    return commands


# A walk that is still under way must not ask again what it has asked.
_COMMANDS = """
DELETE FROM component_command WHERE finished_at < now() - :kept AND (
    place IS NULL OR split_part(place, '/', 1) NOT IN (SELECT id::text FROM missionary WHERE ended_at IS NULL)
)
"""
_NOTIFICATIONS = "DELETE FROM notification WHERE created_at < now() - :kept"
_CONNECTIONS = """
DELETE FROM component_connection WHERE state = 'ended' AND ended_at < now() - :kept AND NOT EXISTS (
    SELECT FROM component_command WHERE connection_id = component_connection.id AND status = 'sent'
)
"""
_HUBS = """
DELETE FROM hub WHERE ended_at < now() - :kept AND NOT EXISTS (
    SELECT FROM component_connection WHERE hub_id = hub.id
)
"""
