"""What a channel is handed: one notification, or several that came together."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from models.notification import Notification


@dataclass(frozen=True)
class Message:
    """`notifications` are not empty. The same ones make the same message, with the same `key`."""

    notifications: tuple[Notification, ...]

    @property
    def subject(self) -> str:
        """One line."""
        first = " ".join(self.notifications[0].subject.split())
        more = len(self.notifications) - 1
        return f"{first} (and {more} more)" if more else first

    @property
    def text(self) -> str:
        if len(self.notifications) == 1:
            return self.notifications[0].body or self.subject
        return "\n\n".join(f"{each.subject}\n{each.body}".rstrip() for each in self.notifications)

    @property
    def is_good(self) -> bool:
        """Whether there is nothing in it that someone should look after."""
        return all(each.kind.is_good for each in self.notifications)

    @property
    def key(self) -> str:
        """Hex digits by which a receiver knows a message that it has had, of whichever desk."""
        told = (f"{each.id} {each.created_at.isoformat()}" for each in self.notifications)
        return sha256("\n".join(told).encode()).hexdigest()[:32]
