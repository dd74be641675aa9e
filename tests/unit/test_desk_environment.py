"""What a desk's processes start with."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from console.desk.environment import asyncpg_url, for_parts, for_prefect_server, prefect_database
from console.desk.ports import LOOPBACK, free_port, refuse_used_port
from missiondesk.settings import LogLevel, Settings
from models.errors import InvalidSetting

API = "http://127.0.0.1:4200/api"


@pytest.fixture
def settings(short_home: Path) -> Settings:
    return Settings.load({"MISSIONDESK_HOME": str(short_home)})


def names_known_to_prefect() -> set[str]:
    from prefect.settings.models.root import Settings as PrefectSettings

    def names(model: type[BaseModel], path: tuple[str, ...]) -> set[str]:
        found = set()
        for name, field in model.model_fields.items():
            inner: Any = field.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                found |= names(inner, (*path, name))
            else:
                found.add("_".join((*path, name)).upper())
                aliases = getattr(field.validation_alias, "choices", ())
                found |= {alias.upper() for alias in aliases if isinstance(alias, str)}
        return found

    read_from_the_environment_alone = {"PREFECT_SERVER_ENCRYPTION_KEY"}
    return names(PrefectSettings, ("prefect",)) | read_from_the_environment_alone


def test_prefect_knows_every_setting_that_it_is_given(settings: Settings) -> None:
    given = for_parts(settings, API, {}) | for_prefect_server(settings, "postgresql+asyncpg:///prefect")
    unknown = {name for name in given if name.startswith("PREFECT_")} - names_known_to_prefect()
    assert unknown == set()


def test_prefect_takes_every_value(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings.models.root import Settings as PrefectSettings

    url = asyncpg_url(settings.database_url.get_secret_value(), "prefect")
    given = for_parts(settings, API, {}) | for_prefect_server(settings, url)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    taken = PrefectSettings()
    assert taken.api.url == API
    assert taken.server.concurrency.lease_storage.endswith("filesystem")
    assert taken.server.services.scheduler.min_scheduled_time.total_seconds() == 900
    assert taken.server.services.event_persister.batch_size == 100
    assert taken.results.default_serializer == "json"
    assert taken.server.ephemeral.enabled is False


def test_a_profile_or_key_for_another_server_is_not_passed_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "for the cloud")
    monkeypatch.setenv("PREFECT_PROFILE", "cloud")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    given = for_parts(settings, API, {"MISSIONDESK_EXCHANGE": "sandbox"})
    assert "PREFECT_API_KEY" not in given
    assert "PREFECT_PROFILE" not in given
    assert given["PREFECT_LOGGING_LEVEL"] == "DEBUG"
    assert given["MISSIONDESK_EXCHANGE"] == "sandbox"


def test_every_part_logs_at_the_level_that_is_set(settings: Settings) -> None:
    debug = settings.model_copy(update={"log_level": LogLevel.DEBUG})
    for chosen, server in ((settings, "WARNING"), (debug, "DEBUG")):
        given = for_parts(chosen, API, {}) | for_prefect_server(chosen, "postgresql+asyncpg:///prefect")
        assert given["LOG_LEVEL"] == given["PREFECT_LOGGING_LEVEL"] == chosen.log_level
        assert given["PREFECT_SERVER_LOGGING_LEVEL"] == server


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://postgres@/desk?host=/a%20b/c", "postgresql+asyncpg://postgres@/prefect?host=/a%20b/c"),
        (
            "postgresql://me:p%40ss@db:5433/desk?sslmode=require&connect_timeout=3",
            "postgresql+asyncpg://me:p%40ss@db:5433/prefect?ssl=require",
        ),
    ],
)
def test_prefects_database_url_is_in_its_drivers_words(url: str, expected: str) -> None:
    assert asyncpg_url(url, "prefect") == expected


def test_prefects_database_on_a_shared_server_is_named_after_ours() -> None:
    shared = Settings.load({"MISSIONDESK_DATABASE_URL": "postgresql://db/desk"})
    assert prefect_database(shared) == "desk_prefect"
    assert prefect_database(Settings.load({})) == "prefect"


def test_each_free_port_is_another_one_that_no_outgoing_connection_gets() -> None:
    chosen = [free_port() for _ in range(20)]
    assert len(set(chosen)) == 20
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(chosen) < lowest_outgoing or lowest_outgoing <= 20_000
    with socket.create_server((LOOPBACK, chosen[0])):
        assert free_port(range(chosen[0], chosen[0] + 2)) == chosen[0] + 1


def test_a_free_port_is_not_refused_and_a_used_one_names_this_process() -> None:
    refuse_used_port(free_port(), "--prefect-port")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            InvalidSetting, match=rf"port {port} is in use by .*\(pid {os.getpid()}\)"
        ) as refused:
            refuse_used_port(port, "--prefect-port")
    assert "--prefect-port" in str(refused.value)
