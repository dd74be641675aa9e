"""Mails as rows: written where something failed, sent by whichever hub process has mail configured."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, insert, literal, select, update

from models.component_tables import component_mail

# The same news is told once in this span, and no news is sent that is older than that.
QUIET_SECONDS = 600
STALE_SECONDS = 3600
LEASE_SECONDS = 60


@dataclass(frozen=True)
class Mail:
    id: int
    subject: str
    body: str


class Mails:
    """Each method is one statement. Failed commands write their mail by themselves, in a trigger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, reason: str, subject: str, body: str) -> None:
        """Unless the same subject was mailed in the last ten minutes."""
        told = select(component_mail.c.id).where(
            component_mail.c.reason == reason,
            component_mail.c.subject == subject,
            component_mail.c.created_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, QUIET_SECONDS),
        )
        row = select(literal(reason), literal(subject), literal(body)).where(~told.exists())
        with self._engine.connect() as connection:
            connection.execute(insert(component_mail).from_select(["reason", "subject", "body"], row))

    def take(self, most: int = 20) -> list[Mail]:
        """Mails to be sent now; if they are neither marked as sent nor as failed they are due again later."""
        due = (
            select(component_mail.c.id)
            .where(
                component_mail.c.sent_at.is_(None),
                component_mail.c.next_try_at <= func.now(),
                component_mail.c.created_at
                > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, STALE_SECONDS),
            )
            .order_by(component_mail.c.id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        taken = (
            update(component_mail)
            .where(component_mail.c.id.in_(due))
            .values(
                tries=component_mail.c.tries + 1,
                next_try_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, LEASE_SECONDS),
            )
            .returning(component_mail.c.id, component_mail.c.subject, component_mail.c.body)
        )
        with self._engine.connect() as connection:
            return sorted((Mail(*row) for row in connection.execute(taken)), key=lambda mail: mail.id)

    def sent(self, mail_id: int) -> None:
        with self._engine.connect() as connection:
            connection.execute(
                update(component_mail).where(component_mail.c.id == mail_id).values(sent_at=func.now())
            )

    def failed(self, mail_id: int, problem: str) -> None:
        """It is tried again after a minute."""
        with self._engine.connect() as connection:
            connection.execute(
                update(component_mail).where(component_mail.c.id == mail_id).values(problem=problem)
            )
