"""Randomness by position: the same number for the same key and index, in any order, on any machine."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from missiondesk.exchanges.sandbox.bars import Floats, Integers

_UNIT = 2.0**-53


def key_of(*parts: object) -> int:
    """A 64-bit key from names and numbers."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def uniform(key: int, index: Integers) -> Floats:
    """Numbers in [0, 1), one for each index (the finaliser of SplitMix64)."""
    mixed: npt.NDArray[np.uint64] = index.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * _UNIT)


def bell(key: int, index: Integers) -> Floats:
    """Numbers with mean 0 and deviation 1, nearly normal and never beyond 3.5: four uniforms added."""
    uniforms = uniform(key, np.stack([4 * index + n for n in range(4)]))
    return np.asarray((uniforms.sum(axis=0) - 2.0) * 3.0**0.5)


def shares(weights: Floats, totals: Floats) -> Floats:
    """Each total split over its row in proportion to the weights, in units of 1e-8 that add up exactly."""
    cumulative = np.cumsum(weights, axis=-1)
    units = np.rint(totals * 1e8)[..., None]
    reached = np.floor(units * (cumulative / cumulative[..., -1:]))
    return np.asarray(np.diff(reached, axis=-1, prepend=0.0) / 1e8)
