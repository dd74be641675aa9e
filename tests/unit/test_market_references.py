"""Indicators against values published or computed elsewhere, to the precision those are written in."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from missiondesk.market.candles import Candles
from missiondesk.market.indicators import indicator, series, value_at
from missiondesk.market.panel import NewCandles
from missiondesk.market.stored_indicators import INDICATORS, STORED

Column = NDArray[np.float64]


def read_columns(path: Path) -> dict[str, Column]:
    """A CSV with a header; what is not a number becomes NaN."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    return {
        (name or "").strip().lower(): np.array([number(row[name]) for row in rows])
        for name in rows[0]
        if name
    }


def number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def daily(columns: dict[str, Column]) -> Candles:
    """Candles from the columns there are; what a reference leaves out is filled with the close."""
    close = columns["close"]
    prices = (columns.get(name, close) for name in ("open", "high", "low"))
    return Candles(
        86_400_000 * np.arange(len(close)), *prices, close=close, volume=np.ones(len(close)), timeframe="1d"
    )


# Seeds of ADX and MACD differ elsewhere (DI sums, EMAs from the first bar): compared where they have faded.
REFERENCES = [
    ("lean/spy_with_indicators.txt", "sma14", "sma", {"length": 14}, 0, 0.0065),
    ("lean/spy_with_indicators.txt", "ema14", "ema", {"length": 14}, 0, 0.0065),
    ("lean/spy_with_indicators.txt", "rsi 14 wilder", "rsi", {}, 0, 5e-6),
    ("lean/spy_with_indicators.txt", "macd 12 26", "macd", {}, 150, 5e-4),
    ("lean/spy_with_adx.txt", "adx 14", "adx", {}, 150, 0.005),
    ("lean/spy_bollinger_bands.txt", "bollinger bands® 20 2 top", "bollinger_upper", {}, 0, 1e-4),
    ("lean/spy_bollinger_bands.txt", "bollinger bands® 20 2 bottom", "bollinger_lower", {}, 0, 1e-4),
    ("lean/spy_bollinger_bands.txt", "moving average 20", "bollinger_middle", {}, 0, 1e-9),
    ("lean/spy_ema.csv", "ema14", "ema", {"length": 14}, 0, 1e-9),
    ("stockcharts/cs-adx.csv", "adx", "adx", {}, 150, 0.005),
    ("stockcharts/cs-bbands.csv", "highband", "bollinger_upper", {}, 0, 1e-6),
    ("stockcharts/cs-bbands.csv", "lowband", "bollinger_lower", {}, 0, 1e-6),
    ("tradingview/bitmex_xbtusd_1h_ma7_ma99.csv.gz", "7ma", "sma", {"length": 7}, 6, 5e-6),
    ("tradingview/bitmex_xbtusd_1h_ma7_ma99.csv.gz", "99ma", "sma", {"length": 99}, 98, 5e-6),
]


@pytest.mark.parametrize(("file", "column", "name", "parameters", "first", "precision"), REFERENCES)
def test_published_series(
    shared_data: Path,
    file: str,
    column: str,
    name: str,
    parameters: dict[str, object],
    first: int,
    precision: float,
) -> None:
    columns = read_columns(shared_data / "indicators" / file)
    spec = indicator(name, parameters)
    first = max(first, spec.needed - 1)
    ours, theirs = series(daily(columns), spec)[first:], columns[column][first:]
    there = np.isfinite(theirs)
    assert there.sum() > 3
    np.testing.assert_allclose(ours[there], theirs[there], rtol=0, atol=precision)


def test_values_that_jesse_asserts(shared_data: Path) -> None:
    """Checked by its author against TradingView."""
    folder = shared_data / "indicators" / "jesse"
    cases = json.loads((folder / "expected.json").read_text())["cases"]
    candles = json.loads(gzip.decompress((folder / "candles.json.gz").read_bytes()))
    checked = set()
    for case in cases:
        known = case["indicator"] in {"rsi", "atr", "adx"} and case["candles"][0] in candles
        if not known:
            continue
        time, opened, close, high, low, volume = np.array(candles[case["candles"][0]]).T
        one_day = Candles(86_400_000 * np.arange(len(time)), opened, high, low, close, volume, "1d")
        value = value_at(one_day, indicator(case["indicator"]))
        assert round(value, case["decimals"]) == case["expected"], case["test"]
        checked.add(case["indicator"])
    assert checked == {"rsi", "atr", "adx"}


def test_talibs_own_regression_values(shared_data: Path) -> None:
    folder = shared_data / "indicators" / "talib"
    candles = daily(read_columns(folder / "series_252.csv"))
    tables = json.loads((folder / "expected.json").read_text())
    checked = 0

    def check(name: str, parameters: dict[str, object], row: dict[str, float], output: str = "0") -> None:
        nonlocal checked
        spec = indicator(name, parameters)
        place = int(row["expectedBegIdx"]) + int(row[f"oneOfTheExpectedOutRealIndex{output}"])
        if place >= spec.needed - 1:
            expected = row[f"oneOfTheExpectedOutReal{output}"]
            assert series(candles, spec)[place] == pytest.approx(expected, abs=0.01), (name, parameters, row)
            checked += 1

    for row in usable(tables["ma"]["rows"]):
        if row["optInMAType_1"] in {"TA_MAType_SMA", "TA_MAType_EMA"}:
            check(row["optInMAType_1"][-3:].lower(), {"length": row["optInTimePeriod"]}, row, "")
    for row in usable(tables["rsi"]["rows"]):
        if row["theFunction"] == "TA_RSI_TEST":
            check("rsi", {"length": row["optInTimePeriod"]}, row)
    for row in usable(tables["bbands"]["rows"]):
        if row["optInMethod_3"] == "TA_MAType_SMA" and row["optInNbDevUp"] == row["optInNbDevDn"]:
            parameters = {"length": row["optInTimePeriod"], "deviations": row["optInNbDevUp"]}
            for output, band in enumerate(("upper", "middle", "lower")):
                check(f"bollinger_{band}", parameters, row, str(output))
    for row in usable(tables["macd"]["rows"]):
        if row["testId"] == "TA_MACD_TEST" and row["optInFastPeriod"] < row["optInSlowPeriod"]:
            lengths = ("optInFastPeriod", "optInSlowPeriod", "optInSignalPeriod_2")
            parameters = dict(
                zip(("fast", "slow", "signal"), (row[length] for length in lengths), strict=True)
            )
            for output, name in enumerate(("macd", "macd_signal", "macd_hist")):
                check(name, parameters, row, str(output))
    assert checked >= 18


def usable(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows of a successful run over the whole series, without a moved seed or another compatibility."""
    return [
        row
        for row in rows
        if row["expectedRetCode"] == "TA_SUCCESS"
        and row["startIdx"] == 0
        and row.get("unstablePeriod", 0) == 0
        and row.get("compatibility", "TA_COMPATIBILITY_DEFAULT") == "TA_COMPATIBILITY_DEFAULT"
    ]


def test_stored_values_over_years_of_real_candles(shared_data: Path) -> None:
    table = np.loadtxt(shared_data / "ohlcv/kraken/BTC-USD_1h.csv.gz", delimiter=",", skiprows=1)
    candles = Candles.from_rows(table.tolist(), "1h", "BTC/USD")
    stored, _ = INDICATORS.continued(INDICATORS.beginning[np.newaxis], NewCandles.of([candles]))
    for name, spec in STORED.items():
        np.testing.assert_allclose(stored[name], series(candles, spec), rtol=1e-9, atol=1e-9, err_msg=name)
