"""What is refreshed can be set in one file, and mistakes in it are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from console.desk.options import DeskOptions
from console.desk.up import up
from missiondesk.market.regime import RegimeSettings
from missiondesk.market.signal_settings import Line, SignalSettings
from missiondesk.refresh.settings import FILE, RefreshSettings, fingerprint
from missiondesk.settings import Settings
from models.errors import InvalidSetting


def test_the_defaults(tmp_path: Path) -> None:
    settings = RefreshSettings.load(tmp_path, {})
    assert settings.symbols[0] == "BTC/USD" and len(settings.symbols) == 9 and "ETH/BTC" in settings.symbols
    assert settings.intervals == ("1h", "4h", "1d", "1w")
    assert settings.signals == SignalSettings()
    assert settings.account is None


def test_the_file_and_the_environment_over_it(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        'account = "mine"\nsymbols = ["BTC/USD"]\n'
        'intervals = ["1d", "1h", "1h"]\n[regime]\ntrending_above_adx = 27\n'
        '[signals]\nhold_below = 35\nbuy_rsi = [{when = "above", limit = 90, points = -50}]\n'
    )
    settings = RefreshSettings.load(tmp_path, {"MISSIONDESK_SYMBOLS": "ETH/USD, SOL/USD,ETH/USD"})
    assert settings.account == "mine"
    assert settings.symbols == ("ETH/USD", "SOL/USD")
    assert settings.intervals == ("1h", "1d")
    assert settings.regime == RegimeSettings(trending_above_adx=27)
    assert settings.signals == SignalSettings(hold_below=35, buy_rsi=(Line("above", 90, -50),))
    assert RefreshSettings.load(tmp_path, {"MISSIONDESK_MARKET_ACCOUNT": "other"}).account == "other"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("symbols = [", "expected TOML"),
        ("symbols = []", "symbols"),
        ('intervals = ["2w"]', "unknown timeframe '2w'"),
        ("[signals]\nhold_bellow = 3", "got hold_bellow"),
        ("[regime]\ntrending_above_adx = 'high'", "regime"),
        ("symbol = 'BTC/USD'", "symbol"),
        ('symbols = [" "]', "symbols"),
        ("[signals]\ndivergence_bars = 0", "divergence_bars"),
        ("[signals]\nshort_gain_bars = -3", "short_gain_bars"),
        ("[signals]\nhigh_bars = 0", "high_bars"),
        ("[signals]\ncandles_needed = -1", "candles_needed"),
        ("[signals]\ntrend_base = 9999999999999", "trend_base"),
        ("[signals]\nbuy_rsi = [{when = 'above', limit = nan, points = 1}]", "buy_rsi"),
        ("[regime]\ntrending_above_adx = nan", "trending_above_adx"),
        ("[regime]\ntrending_above_adx = inf", "trending_above_adx"),
    ],
)
def test_mistakes_are_named_with_the_file(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(InvalidSetting, match=problem) as refused:
        RefreshSettings.load(tmp_path, {})
    assert str(tmp_path / FILE) in str(refused.value)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"account = '\xff'")
    with pytest.raises(InvalidSetting, match="expected TOML in UTF-8"):
        RefreshSettings.load(tmp_path, {})


def test_the_desk_does_not_come_up_with_a_mistake(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("symbols = []")
    with pytest.raises(InvalidSetting, match="symbols"):
        up(Settings.load({"MISSIONDESK_HOME": str(tmp_path)}), DeskOptions())


def test_the_page_names_every_setting_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "market-data.md").read_text()
    rows = dict(re.findall(r"^\| `\[?(\w+)\]?` \| (.*) \|$", page, re.MULTILINE))
    assert list(rows) == list(RefreshSettings.model_fields)
    defaults = RefreshSettings()
    for name in ("symbols", "intervals"):
        assert rows[name] == ", ".join(f"`{each}`" for each in getattr(defaults, name))
    for name in ("first_candles", "looked_at_again", "trade_pages"):
        assert rows[name] == f"`{getattr(defaults, name)}`"


def test_equal_thresholds_have_one_fingerprint() -> None:
    assert fingerprint(SignalSettings()) == fingerprint(SignalSettings(hold_below=30))
    assert fingerprint(SignalSettings()) != fingerprint(SignalSettings(hold_below=31))
