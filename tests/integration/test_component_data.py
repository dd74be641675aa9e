"""The rows that components require, from tables and CSV files; and those that they report, written back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from missiondesk.components.data import RequiredData
from missiondesk.components.registry import Registry
from missiondesk.components.requirements import requirements_of
from missiondesk.store.database import connect, transaction
from models.errors import InputRefused

AT = datetime(2024, 1, 2, 10, 30, 15, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = connect(database_url)
    with made.connect() as connection:
        connection.execute(
            text("CREATE TABLE data.load (time timestamptz PRIMARY KEY, site text, kilowatts numeric)")
        )
        connection.execute(
            text(
                "INSERT INTO data.load SELECT instant, 'north', 1.5 FROM generate_series(timestamptz "
                "'2024-01-02 00:00Z', timestamptz '2024-01-03 00:00Z', interval '30 minutes') AS instant"
            )
        )
    yield made
    made.dispose()


@pytest.fixture
def data(engine: Engine, tmp_path: Path) -> RequiredData:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "prices.csv").write_text(
        "time,price\n2024-01-02T09:00:00Z,1\n2024-01-02 10:00,2\n1704189600,3\n2024-01-02T10:15:00Z,4\n"
    )
    (tmp_path / "secret.csv").write_text("time,word\n2024-01-02T10:00:00Z,hidden\n")
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    return RequiredData(engine, folder)


def rows(data: RequiredData, **given):
    (requirement,) = requirements_of(given)
    return data.rows(requirement, AT)


def test_rows_of_full_units_up_to_the_floored_execution_time(data: RequiredData):
    found = rows(data, table_name="load", time_begin=-2, time_end=0, time_unit="h", table_columns=["time"])
    assert [row["time"] for row in found] == [f"2024-01-02T{hour:02}:00:00+00:00" for hour in (8, 9, 10)]
    half_hours = rows(data, table_name="load", time_begin=-60, time_end=0, time_unit="min")
    assert [row["time"][11:16] for row in half_hours] == ["09:30", "10:00", "10:30"]
    assert half_hours[0] == {"time": "2024-01-02T09:30:00+00:00", "site": "north", "kilowatts": "1.5"}
    assert len(rows(data, table_name="load", time_begin=0, time_end=1, time_unit="D")) == 2


def test_rows_of_a_csv_file(data: RequiredData):
    found = rows(data, table_kind="csv", table_name="prices", time_begin=-1, time_end=0, time_unit="h")
    assert [row["price"] for row in found] == ["1", "2", "3"]
    assert rows(data, table_kind="csv", table_name="prices.csv", time_unit="h", where={"price": 2}) != []


def test_rows_of_candles_by_their_series(data: RequiredData, engine: Engine):
    with engine.connect() as connection:
        series_id = connection.execute(
            text(
                "INSERT INTO series (exchange, symbol, interval) "
                "VALUES ('kraken', 'BTC/USD', '1h') RETURNING id"
            )
        ).scalar_one()
        connection.execute(
            text(
                "INSERT INTO candle (series_id, open_time, open, high, low, close, volume, source) "
                "VALUES (:id, '2024-01-02 10:00Z', 1, 1, 1, 7, 1, 'exchange')"
            ),
            {"id": series_id},
        )
    wanted = {"table_name": "candle", "table_columns": ["close"], "time_unit": "h"}
    assert rows(data, **wanted, where={"symbol": "BTC/USD", "interval": "1h"}) == [{"close": 7.0}]
    assert rows(data, **wanted, where={"symbol": "ETH/USD"}) == []


@pytest.mark.parametrize(
    "name", ["../secret", "link", "/etc/passwd", "..", "a\0b", "prices/../../secret", "." * 5000]
)
def test_no_file_outside_of_the_folder(data: RequiredData, name: str):
    with pytest.raises(InputRefused):
        rows(data, table_kind="csv", table_name=name[:200], time_unit="h")


@pytest.mark.parametrize(
    "given",
    [
        {"table_name": "account"},
        {"table_name": "load; DROP TABLE mission"},
        {"table_name": 'load" --'},
        {"table_name": "load", "table_columns": ["site; DROP TABLE mission"]},
        {"table_name": "load", "where": {"site' OR 1=1 --": "x"}},
        {"table_name": "load", "time_column": "site"},
        {"table_name": "load", "where": {"kilowatts": "no number"}},
        {"table_kind": "csv", "table_name": "nowhere"},
        {"table_kind": "csv", "table_name": "prices", "table_columns": ["none"]},
    ],
)
def test_what_is_not_there_is_named(data: RequiredData, given):
    with pytest.raises(InputRefused):
        rows(data, **given)


def test_outputs_are_appended_to_their_tables(data: RequiredData, engine: Engine):
    wanted = requirements_of(
        [{"table_name": "load"}, {"table_kind": "csv", "table_name": "made", "table_columns": ["time", "x"]}]
    )
    outputs = {
        "load": [{"time": "2025-01-01T00:00:00Z", "site": "south", "kilowatts": 2}],
        "made": [{"time": "2024-01-02T10:00:00Z", "x": 5}],
    }
    with transaction(engine) as connection:
        data.write(connection, wanted, outputs)
    with engine.connect() as connection:
        query = text("SELECT kilowatts FROM data.load WHERE site = 'south'")
        assert connection.execute(query).scalar_one() == 2
    assert rows(data, table_kind="csv", table_name="made", time_unit="h") == [
        {"time": "2024-01-02T10:00:00Z", "x": "5"}
    ]
    for bad in ({"load": "x"}, {"load": [{"nothing": 1}]}, {"load": [{"time": "2025-01-01T00:00:00Z"}]}):
        with pytest.raises(InputRefused), transaction(engine) as connection:
            data.write(connection, wanted, bad)


def test_rows_of_different_columns_are_written_with_all_of_them(data: RequiredData, engine: Engine):
    wanted = requirements_of([{"table_name": "load"}, {"table_kind": "csv", "table_name": "made"}])
    outputs = {
        "load": [{"time": "2025-01-01T00:00:00Z"}, {"time": "2025-01-02T00:00:00Z", "site": "south"}],
        "made": [{"time": "2024-01-02T10:00:00Z"}, {"time": "2024-01-02T10:00:00Z", "x": 5}],
    }
    with transaction(engine) as connection:
        data.write(connection, wanted, outputs)
    with engine.connect() as connection:
        query = text("SELECT site FROM data.load WHERE time >= '2025-01-01Z' ORDER BY time")
        assert connection.scalars(query).all() == [None, "south"]
    assert [row["x"] for row in rows(data, table_kind="csv", table_name="made", time_unit="h")] == ["", "5"]


@pytest.mark.parametrize("columns", [[], ["time", "nothing"]])
def test_a_column_that_the_table_does_not_have_is_named(data: RequiredData, engine: Engine, columns):
    wanted = requirements_of({"table_name": "load", "table_columns": columns})
    reported = [{"time": "2025-01-01T00:00:00Z"}, {"time": "2025-01-02T00:00:00Z", "nothing": 1}]
    with pytest.raises(InputRefused, match="'nothing'"), transaction(engine) as connection:
        data.write(connection, wanted, reported)


@pytest.mark.parametrize("bad", [{"load": [{"nothing": 1}]}, {"load": "x"}, {"last": [{"other": 1}]}])
def test_no_file_is_written_when_anything_is_refused(data: RequiredData, engine: Engine, tmp_path, bad):
    (tmp_path / "data" / "last.csv").write_text("time,x\n")
    wanted = requirements_of(
        [
            {"table_kind": "csv", "table_name": "made"},
            {"table_name": "load"},
            {"table_kind": "csv", "table_name": "last"},
        ]
    )
    with pytest.raises(InputRefused), transaction(engine) as connection:
        data.write(connection, wanted, {"made": [{"time": "2024-01-02T10:00:00Z"}], **bad})
    assert not (tmp_path / "data" / "made.csv").exists()


def test_a_csv_file_with_a_byte_order_mark(data: RequiredData, engine: Engine, tmp_path):
    path = tmp_path / "data" / "excel.csv"
    path.write_text("time,x\n2024-01-02T10:00:00Z,1\n", encoding="utf-8-sig")
    wanted = {"table_kind": "csv", "table_name": "excel", "time_unit": "h"}
    with transaction(engine) as connection:
        data.write(connection, requirements_of(wanted), [{"time": "2024-01-02T10:00:00Z", "x": 2}])
    assert [row["x"] for row in rows(data, **wanted)] == ["1", "2"]


def test_a_csv_file_of_too_many_rows_is_refused(data: RequiredData, monkeypatch: pytest.MonkeyPatch):
    wanted = {"table_kind": "csv", "table_name": "prices", "time_begin": -1, "time_unit": "h"}
    monkeypatch.setattr("missiondesk.components.data.MOST_ROWS", 3)
    assert len(rows(data, **wanted)) == 3
    monkeypatch.setattr("missiondesk.components.data.MOST_ROWS", 2)
    with pytest.raises(InputRefused, match="at most 2 rows"):
        rows(data, **wanted)


def test_a_requirement_that_is_not_valid_refuses_the_registration(engine: Engine):
    with pytest.raises(InputRefused, match="time_unit"):
        Registry(engine).register("m", input_data={"table_name": "load", "time_unit": "week"})
    Registry(engine).register("free text", input_data="numbers, please", output_data={"any": "thing"})
