"""Every setting of the desk, read once from the environment; a wrong one stops the start and names itself."""

from __future__ import annotations

import base64
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from missiondesk.market_names import name_problem
from missiondesk.store.administration import without_password
from missiondesk.store.embedded import check_socket_path, socket_url
from models.errors import InvalidSetting
from models.validation import problems_of

PAPER_PARTICIPATION: Final = Decimal("0.1")


class Environment(StrEnum):
    DEV = "dev"
    PRO = "pro"


class ExchangeChoice(StrEnum):
    """Where prices come from: the real exchange, or the local one that speaks its protocol."""

    KRAKEN = "kraken"
    SANDBOX = "sandbox"


class OrderTransport(StrEnum):
    """How orders reach a venue. Over a websocket only where ccxt can; everywhere else it is REST."""

    REST = "rest"
    WEBSOCKET = "websocket"


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


def _absolute(path: Path) -> Path:
    expanded = path.expanduser()
    if not expanded.is_absolute():
        raise ValueError(f"expected an absolute path, got {str(path)!r}")
    return Path(os.path.normpath(expanded))


def _postgres_url(text: str) -> str:
    form = "expected postgresql://user:password@host:port/database"
    shown = without_password(text)
    scheme, separator, rest = text.partition("://")
    try:
        parts = urlsplit(f"postgresql://{rest}")
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        port_fits = False
    if scheme not in ("postgresql", "postgresql+psycopg2") or not separator:
        raise ValueError(f"{form} (postgresql+psycopg2:// is the same), got {shown!r}")
    if not port_fits:
        raise ValueError(f"{form}, got an unreadable host or port in {shown!r}")
    if not parts.path.strip("/"):
        raise ValueError(f"{form}, got no database in {shown!r}")
    return f"postgresql://{rest}"


def _market_names(text: object) -> object:
    if not isinstance(text, str):
        return text
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if (problem := name_problem(name)) is not None:
            raise ValueError(problem)
    return names


def _redis_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme not in ("redis", "rediss", "unix") or not separator or not rest:
        raise ValueError(f"expected redis://host:port, rediss:// or unix://, got {without_password(text)!r}")
    return text


Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseModel):
    """Frozen. `exchange` None means Kraken when it can be reached, else the sandbox.

    `exchange_url` is where a local exchange that speaks Kraken's protocol listens; a desk sets it itself.
    `bus_url` None means the desk's Postgres. `feed_markets` are streamed to the bus and the store all the
    time; their names are separated by commas. `paper_participation` is the share of what trades through the
    price of a resting paper order that may be its own. A log is set aside before it has more than
    `log_bytes`, and the last `log_files` of each are kept.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    home: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=lambda: Path.home() / ".missiondesk", alias="MISSIONDESK_HOME"
    )
    given_database_url: Annotated[SecretStr, BeforeValidator(_postgres_url)] | None = Field(
        default=None, alias="MISSIONDESK_DATABASE_URL"
    )
    environment: Environment = Field(default=Environment.DEV, alias="MISSIONDESK_ENVIRONMENT")
    exchange: ExchangeChoice | None = Field(default=None, alias="MISSIONDESK_EXCHANGE")
    exchange_url: str | None = Field(default=None, pattern="^https?://", alias="MISSIONDESK_EXCHANGE_URL")
    bus_url: Annotated[SecretStr, BeforeValidator(_redis_url)] | None = Field(
        default=None, alias="MISSIONDESK_BUS_URL"
    )
    feed_markets: Annotated[tuple[str, ...], BeforeValidator(_market_names)] = Field(
        default=(), alias="MISSIONDESK_FEED_MARKETS"
    )
    orders_over: OrderTransport = Field(default=OrderTransport.REST, alias="MISSIONDESK_ORDERS_OVER")
    paper_participation: Decimal = Field(
        default=PAPER_PARTICIPATION, gt=0, le=1, alias="MISSIONDESK_PAPER_PARTICIPATION"
    )
    prefect_port: Port = Field(default=4200, alias="MISSIONDESK_PREFECT_PORT")
    console_port: Port = Field(default=4201, alias="MISSIONDESK_CONSOLE_PORT")
    console_host: str = Field(default="127.0.0.1", alias="MISSIONDESK_CONSOLE_HOST")
    given_api_token: SecretStr | None = Field(default=None, alias="MISSIONDESK_API_TOKEN")
    log_level: LogLevel = Field(default=LogLevel.INFO, alias="LOG_LEVEL")
    log_bytes: int = Field(default=10_000_000, ge=100_000, alias="MISSIONDESK_LOG_BYTES")
    log_files: int = Field(default=5, ge=1, le=1000, alias="MISSIONDESK_LOG_FILES")

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Raises InvalidSetting with one line per setting that is wrong. An empty value counts as not set."""
        try:
            settings = cls.model_validate({name: value for name, value in environ.items() if value})
        except ValidationError as error:
            raise InvalidSetting(
                "\n".join(f"{name}: {problem}" for name, problem in problems_of(error))
            ) from None
        if settings.embedded:
            check_socket_path(settings.home)
        return settings

    @property
    def embedded(self) -> bool:
        """Whether the desk's own PostgreSQL server is used."""
        return self.given_database_url is None

    @property
    def database_url(self) -> SecretStr:
        """`postgresql://…`, for psycopg2, SQLAlchemy and psql alike; may hold a password."""
        return self.given_database_url or SecretStr(socket_url(self.home / "postgres", "missiondesk"))

    def secret(self, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> SecretStr:
        """The secret in HOME/secrets/`name` (0600), made at its first use.

        Raises InvalidSetting when others may read the file or it is empty.
        """
        path = self.home / "secrets" / name
        if not path.exists():
            _write_once(path, make())
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise InvalidSetting(
                f"{path}: expected mode 600, got {mode:o}, so others can read it: chmod 600 {path}"
            )
        content = path.read_text().strip()
        if not content:
            raise InvalidSetting(
                f"{path}: expected a secret, got an empty file: remove it, and a new one is made"
            )
        return SecretStr(content)

    @property
    def api_token(self) -> SecretStr:
        """The bearer token of the console's API. It is asked for only where `given_api_token` is set."""
        return self.given_api_token or self.secret("api_token")

    @property
    def prefect_encryption_key(self) -> SecretStr:
        """The Fernet key with which Prefect's server encrypts blocks."""
        return self.secret(
            "prefect_encryption_key", lambda: base64.urlsafe_b64encode(os.urandom(32)).decode()
        )

    @property
    def prefect_auth_string(self) -> SecretStr:
        """`user:password` that Prefect's server asks for when it listens on more than loopback."""
        return self.secret("prefect_auth_string", lambda: f"desk:{secrets.token_urlsafe(32)}")


def _write_once(path: Path, content: str) -> None:
    # Complete before it has its name, and the first of two writers wins.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(content)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
