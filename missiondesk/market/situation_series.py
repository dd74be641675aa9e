"""What `situation` says of one candle, for the new candles of many markets at once, with the same numbers.

    situations, states = Spans(rules).continued(states, new_candles, older_candles)
    situations.gains(places, 10)

Like the calculations of `panel` it goes on from a state: the newest closes and volumes, and the highest close
with its age. Only when that one gets too old, older candles have to be looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from missiondesk.market.candles import FloatArray
from missiondesk.market.panel import IN_CACHE, Counts, NewCandles
from missiondesk.market.ratios import ratios
from missiondesk.market.signal_settings import SignalSettings
from missiondesk.market.windows import window_means

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

_SEEN, _HIGHEST, _AGE, _RECENT = range(4)


def percents(parts: FloatArray, wholes: FloatArray) -> FloatArray:
    """`situation.percent` of each; NaN where that is None."""
    found = ratios(parts * 100, wholes)
    return np.round(found, 9, out=found)


@dataclass(frozen=True, eq=False)
class Situations:
    """Values by place; behind every new candle are the places of the candles before it, NaN where none were.

    places: of the new candles, flat like these.
    close_means, volume_means: over the last `bars` candles. highest: of the closes so far.
    """

    places: Places
    closes: FloatArray
    highest: FloatArray
    close_means: FloatArray
    volume_means: FloatArray
    bars: int

    def gains(self, at: Places, bars: int) -> FloatArray:
        """`situation.gain` at each of these places."""
        earlier = self.closes.take(at - bars)
        return percents(self.closes.take(at) - earlier, earlier)

    def from_high(self, at: Places) -> FloatArray:
        """How far the close is from the highest one, in %."""
        highest = self.highest.take(at)
        return percents(self.closes.take(at) - highest, highest)

    def price_changes(self, at: Places) -> FloatArray:
        """The mean of the last closes against that of those before, in %."""
        return self._changes(self.close_means, at)

    def volume_changes(self, at: Places) -> FloatArray:
        return self._changes(self.volume_means, at)

    def _changes(self, means: FloatArray, at: Places) -> FloatArray:
        older = means.take(at - self.bars)
        return percents(means.take(at) - older, older)


@dataclass(frozen=True)
class Spans:
    """How far back these rules look.

    A state is a row of numbers: candles seen, the highest of the last `high_bars` closes, its age in candles,
    and the newest closes and volumes, oldest first and NaN where there were fewer.
    """

    rules: SignalSettings

    @property
    def _reach(self) -> int:
        return max(self.rules.short_gain_bars, self.rules.long_gain_bars, 2 * self.rules.divergence_bars - 1)

    @property
    def beginning(self) -> FloatArray:
        """The state of a market before its first candle."""
        return np.array([0, -np.inf, 0] + [np.nan] * (2 * self._reach))

    def outlived(self, states: FloatArray, lengths: Counts) -> Mask:
        """Which markets' highest close is too old at the newest of so many new candles.

        Of these `continued` is given the candles before the new ones, `high_bars` − 1 if there are so many.
        """
        return np.asarray((states[:, _SEEN] > 0) & (states[:, _AGE] + lengths >= self.rules.high_bars))

    def counts(self, states: FloatArray, new: NewCandles) -> Counts:
        """Candles of its market up to each new one, flat like these."""
        seen = states[:, [_SEEN]].astype(np.int64)
        return new.flat(seen + np.arange(1, new.most + 1))

    def continued(
        self, states: FloatArray, new: NewCandles, older: NewCandles
    ) -> tuple[Situations, FloatArray]:
        """What there is to see at every new candle, and the states after them.

        states: shape (markets, numbers). older: see `outlived`.
        """
        reach, bars = self._reach, self.rules.divergence_bars
        recent = {"close": states[:, _RECENT : _RECENT + reach], "volume": states[:, _RECENT + reach :]}
        columns = new.behind(recent)
        closes, volumes = columns["close"], columns["volume"]
        markets, width = closes.shape
        # What is not filled in below is not looked at.
        highest, close_means, volume_means = np.empty((3, markets, width))
        highest[:, reach:], record = self._highest(states, new, older)
        step = max(IN_CACHE // width, 1)
        for start in range(0, markets, step):
            some = slice(start, start + step)
            close_means[some, bars - 1 :] = window_means(closes[some], bars)
            volume_means[some, bars - 1 :] = window_means(volumes[some], bars)
        situations = Situations(
            new.flat(np.arange(markets * width).reshape(markets, width)[:, reach:]),
            closes.reshape(-1),
            highest.reshape(-1),
            close_means.reshape(-1),
            volume_means.reshape(-1),
            bars,
        )
        newest = [new.newest(across, reach) for across in columns.values()]
        seen = (states[:, _SEEN] + new.lengths)[:, np.newaxis]
        return situations, np.concatenate([seen, record, *newest], axis=1)

    def _highest(
        self, states: FloatArray, new: NewCandles, older: NewCandles
    ) -> tuple[FloatArray, FloatArray]:
        """The highest of the last closes at each candle, and it with its age after the newest."""
        bars, before = self.rules.high_bars, older.most
        if not new.most:
            return np.empty((len(states), 0)), states[:, [_HIGHEST, _AGE]]
        reread = np.full((len(states), before), -np.inf)
        reread[np.arange(before) >= before - older.lengths[:, np.newaxis]] = older.columns["close"]
        closes = new.behind({"close": reread}, absent=-np.inf)["close"]
        found = np.empty_like(closes)
        step = max(IN_CACHE // max(closes.shape[1], 1), 1)
        for start in range(0, len(states), step):
            found[start : start + step] = _sliding_maxima(closes[start : start + step], bars)
        within = found[:, before:]
        known, age = states[:, [_HIGHEST]], states[:, [_AGE]]
        if np.isfinite(known).any():
            young = age + np.arange(1, new.most + 1) < bars
            np.maximum(within, known, out=within, where=young)
        newest = (new.lengths - 1)[:, np.newaxis]
        highest = np.where(newest < 0, known, np.take_along_axis(within, np.maximum(newest, 0), axis=1))
        same = closes == highest
        inside = same.any(axis=1, keepdims=True) & (newest >= 0)
        ages = np.argmax(same[:, ::-1], axis=1)[:, np.newaxis] - (new.most - 1 - newest)
        return within, np.concatenate([highest, np.where(inside, ages, age + newest + 1)], axis=1)


def _sliding_maxima(values: FloatArray, length: int) -> FloatArray:
    """The highest of the last `length` values (fewer where there are fewer) at each place of the last axis.

    Maxima over 2, 4, 8, … values are made until two of them, overlapping, cover the window.
    """
    width = 1
    while width < length:
        back = min(width, length - width)
        wider = np.empty_like(values)
        wider[..., :back] = values[..., :back]
        np.maximum(values[..., back:], values[..., :-back], out=wider[..., back:])
        values, width = wider, width + back
    return values
