"""Reads the rows that components require, and writes back those that they report."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, DateTime, Engine, MetaData, Table, and_, func, insert, select
from sqlalchemy.exc import DBAPIError, NoSuchTableError

from missiondesk.components.requirements import DataRequirement, Unit
from models.errors import InputRefused
from models.market_tables import candle, ema_channel, indicator, market_regime, series, trading_signal

SCHEMA = "data"
MOST_ROWS = 100_000
TIME_COLUMNS = ("time", "timestamp", "at", "date", "datetime")

# The desk's own tables that components may read; `where` may name the columns of their series too.
_DESK_TABLES = {
    table.name: table for table in (candle, indicator, ema_channel, market_regime, trading_signal)
}
_DESK_TIME = "open_time"

_CSV_ENCODING = "utf-8-sig"  # Excel begins its files with a byte order mark

_UNIT_SECONDS: dict[Unit, int] = {"s": 1, "min": 60, "h": 3600, "D": 86_400}


class RequiredData:
    """`folder` holds the CSV files."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine, self._folder = engine, folder

    def rows(self, requirement: DataRequirement, execution_time: datetime) -> list[dict[str, Any]]:
        """Those dated from execution time + begin to + end, floored to the unit, at full units; oldest first.

        Values are JSON. Raises InputRefused for a table, column or file that is not there.
        """
        begin, end = span(requirement, execution_time)
        if requirement.table_kind == "csv":
            return self._csv_rows(requirement, begin, end)
        return self._table_rows(requirement, begin, end)

    def write(self, connection: Connection, requirements: Sequence[DataRequirement], outputs: Any) -> None:
        """Append what a component reported: for one requirement a list of rows, else `{table_name: rows}`.

        Raises InputRefused for rows that do not fit; files then stay as they were, and tables once the
        transaction of `connection` is rolled back.
        """
        reported: dict[str, list[tuple[DataRequirement, list[dict[str, Any]]]]] = {"table": [], "csv": []}
        for requirement in requirements:
            rows = outputs.get(requirement.table_name) if isinstance(outputs, dict) else outputs
            if rows is None:
                continue
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise InputRefused(f"outputs for {requirement.table_name!r}: expected a list of objects")
            if rows:
                reported[requirement.table_kind].append((requirement, rows))
        for requirement, rows in reported["csv"]:
            self._csv_columns(requirement, rows)
        for requirement, rows in reported["table"]:
            self._append_table(connection, requirement, rows)
        # Last, as a file is not rolled back.
        for requirement, rows in reported["csv"]:
            self._append_csv(requirement, rows)

    def _table_rows(
        self, requirement: DataRequirement, begin: datetime, end: datetime
    ) -> list[dict[str, Any]]:
        table = self._table(requirement.table_name)
        dated = _time_column(table, requirement)
        columns = [_column(table, name) for name in requirement.table_columns] or list(table.columns)
        unit = timedelta(seconds=_UNIT_SECONDS[requirement.time_unit])
        known = {**(dict(series.c) if table is _DESK_TABLES.get(table.name) else {}), **dict(table.c)}
        where = [_column(table, name, known) == value for name, value in requirement.where.items()]
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        on_step = func.date_bin(unit, dated, epoch) == dated
        query = select(*columns).where(and_(dated.between(begin, end), on_step, *where)).order_by(dated)
        if table is _DESK_TABLES.get(table.name):
            query = query.join_from(table, series, series.c.id == table.c.series_id)
        try:
            with self._engine.connect() as connection:
                found = connection.execute(query.limit(MOST_ROWS + 1)).mappings().all()
        except DBAPIError as error:
            raise InputRefused(f"{requirement.table_name}: {str(error.orig).strip()}") from None
        if len(found) > MOST_ROWS:
            raise InputRefused(f"{requirement.table_name}: expected at most {MOST_ROWS} rows, got more")
        return [{name: _json_value(value) for name, value in row.items()} for row in found]

    def _table(self, name: str) -> Table:
        return _DESK_TABLES[name] if name in _DESK_TABLES else self._users_table(name)

    def _users_table(self, name: str) -> Table:
        try:
            return Table(name, MetaData(), schema=SCHEMA, autoload_with=self._engine)
        except (NoSuchTableError, ValueError):
            raise InputRefused(
                f"expected a table of the schema {SCHEMA} or one of {', '.join(sorted(_DESK_TABLES))}, "
                f"got {name!r}"
            ) from None

    def _append_table(
        self, connection: Connection, requirement: DataRequirement, rows: list[dict[str, Any]]
    ) -> None:
        table = self._users_table(requirement.table_name)
        allowed = [
            column.name
            for column in table.columns
            if not requirement.table_columns or column.name in requirement.table_columns
        ]
        names = _names(rows)
        for name in names:
            if name not in allowed:
                raise InputRefused(f"{table.name}: expected columns among {', '.join(allowed)}, got {name!r}")
        try:
            connection.execute(insert(table), [{name: row.get(name) for name in names} for row in rows])
        except (DBAPIError, ValueError) as error:
            said = error.orig if isinstance(error, DBAPIError) else error
            raise InputRefused(f"{table.name}: {str(said).strip()}") from None

    def _csv_rows(self, requirement: DataRequirement, begin: datetime, end: datetime) -> list[dict[str, Any]]:
        path = self._csv_path(requirement.table_name)
        found: list[tuple[datetime, dict[str, Any]]] = []
        try:
            with path.open(newline="", encoding=_CSV_ENCODING) as file:
                reader = csv.DictReader(file)
                header = reader.fieldnames or []
                dated = _time_name(header, requirement)
                for name in (*requirement.table_columns, *requirement.where):
                    if name not in header:
                        raise InputRefused(f"{path.name}: expected columns among {header}, got {name!r}")
                for row in reader:
                    at = _instant(row[dated], path.name)
                    fits = all(row[name] == str(value) for name, value in requirement.where.items())
                    if begin <= at <= end and floored(at, requirement.time_unit) == at and fits:
                        found.append((at, {name: row[name] for name in requirement.table_columns or header}))
                    if len(found) > MOST_ROWS:
                        raise InputRefused(f"{path.name}: expected at most {MOST_ROWS} rows, got more")
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputRefused(f"{path.name}: expected a readable CSV file, got {error}") from None
        return [row for _, row in sorted(found, key=lambda entry: entry[0])]

    def _csv_columns(self, requirement: DataRequirement, rows: list[dict[str, Any]]) -> list[str]:
        path = self._csv_path(requirement.table_name)
        given = _names(rows)
        names = list(requirement.table_columns or given)
        if path.exists():
            with path.open(newline="", encoding=_CSV_ENCODING) as file:
                names = next(csv.reader(file), names)
        if surplus := set(given) - set(names):
            raise InputRefused(f"{path.name}: expected columns among {names}, got {sorted(surplus)}")
        return names

    def _append_csv(self, requirement: DataRequirement, rows: list[dict[str, Any]]) -> None:
        names = self._csv_columns(requirement, rows)
        path = self._csv_path(requirement.table_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            if file.tell() == 0:
                writer.writeheader()
            writer.writerows(rows)

    def _csv_path(self, name: str) -> Path:
        """Raises InputRefused for whatever is not inside the folder, links included."""
        folder = self._folder.resolve()
        try:
            path = (folder / f"{name.removesuffix('.csv')}.csv").resolve()
        except (OSError, ValueError):
            path = folder.parent
        if not path.is_relative_to(folder) or path == folder:
            raise InputRefused(f"table_name: expected a file in the data folder, got {name!r}")
        return path


def span(requirement: DataRequirement, execution_time: datetime) -> tuple[datetime, datetime]:
    """The first and the last instant that are asked for."""
    unit = timedelta(seconds=_UNIT_SECONDS[requirement.time_unit])
    at = floored(execution_time, requirement.time_unit)
    try:
        return at + requirement.time_begin * unit, at + requirement.time_end * unit
    except OverflowError:
        raise InputRefused("time_begin, time_end: expected instants of the calendar") from None


def floored(instant: datetime, unit: Unit) -> datetime:
    """The start of the second, minute, hour or UTC day."""
    seconds = _UNIT_SECONDS[unit]
    return datetime.fromtimestamp(int(instant.timestamp()) // seconds * seconds, UTC)


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of all rows, in the order in which they come first."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _column(table: Table, name: str, known: Mapping[str, Column[Any]] | None = None) -> Column[Any]:
    columns = dict(table.c) if known is None else known
    if name not in columns:
        raise InputRefused(f"{table.name}: expected columns among {', '.join(columns)}, got {name!r}")
    return columns[name]


def _time_column(table: Table, requirement: DataRequirement) -> Column[Any]:
    if requirement.time_column is None and table is _DESK_TABLES.get(table.name):
        return _column(table, _DESK_TIME)
    dated = _column(table, _time_name(table.c.keys(), requirement))
    if not isinstance(dated.type, DateTime) or not dated.type.timezone:
        raise InputRefused(f"{table.name}.{dated.name}: expected a timestamptz column, got {dated.type}")
    return dated


def _time_name(names: Sequence[str], requirement: DataRequirement) -> str:
    wanted = (requirement.time_column,) if requirement.time_column else TIME_COLUMNS
    for name in wanted:
        if name in names:
            return name
    raise InputRefused(
        f"{requirement.table_name}: expected a time column among {', '.join(wanted)}, got {', '.join(names)}"
    )


def _instant(text: str | None, file: str) -> datetime:
    """An ISO instant (UTC unless it says otherwise), or Unix seconds or milliseconds."""
    text = (text or "").strip()
    try:
        if text.lstrip("-").isdigit() and text.isascii():
            number = int(text)
            return datetime.fromtimestamp(number / 1000 if abs(number) > 10**11 else number, UTC)
        instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise InputRefused(f"{file}: expected ISO instants or Unix times, got {text[:40]!r}") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and value != value:  # NaN
        return None
    return value if isinstance(value, (bool, int, float, str, dict, list, type(None))) else str(value)
