"""What `missiondesk up` and `missiondesk start` are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DeskOptions:
    """As typed, each None where it was not; `candles`, what the sandbox plays, as an absolute path."""

    exchange: str | None = None
    candles: Path | None = None
    prefect_port: str | None = None
    console_port: str | None = None

    def arguments(self) -> list[str]:
        """The words that ask for the same again."""
        given = {
            "--exchange": self.exchange,
            "--candles": self.candles,
            "--prefect-port": self.prefect_port,
            "--console-port": self.console_port,
        }
        return [word for name, value in given.items() if value is not None for word in (name, str(value))]

    def environment(self) -> dict[str, str | None]:
        """The settings that they override; None for those that stay as they are."""
        return {
            "MISSIONDESK_EXCHANGE": "sandbox" if self.candles is not None else self.exchange,
            "MISSIONDESK_PREFECT_PORT": self.prefect_port,
            "MISSIONDESK_CONSOLE_PORT": self.console_port,
        }
