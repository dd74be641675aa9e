"""What is refreshed can be set in one file, and mistakes in it are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from missiondesk.market.regime import RegimeSettings
from missiondesk.market.signal_settings import Line, SignalSettings
from missiondesk.refresh.settings import FILE, RefreshSettings, fingerprint
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
    ],
)
def test_mistakes_are_named_with_the_file(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(InvalidSetting, match=problem) as refused:
        RefreshSettings.load(tmp_path, {})
    assert str(tmp_path / FILE) in str(refused.value)


def test_equal_thresholds_have_one_fingerprint() -> None:
    assert fingerprint(SignalSettings()) == fingerprint(SignalSettings(hold_below=30))
    assert fingerprint(SignalSettings()) != fingerprint(SignalSettings(hold_below=31))
