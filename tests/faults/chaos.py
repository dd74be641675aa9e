"""How much chaos, and which: `make chaos N=… SEED=…`. Without them, little enough for every test run."""

from __future__ import annotations

import os
from typing import Final

TRADES: Final = int(os.environ.get("CHAOS_COUNT", "20"))
"""Trade Tasks that are carried out while everything goes wrong."""

KILLS: Final = max(5, TRADES // 20)
"""How often tests kill what takes seconds to come back."""

SEED: Final = int(os.environ.get("CHAOS_SEED", "1"))
"""Fixes which faults come in which order, and how long after each other."""
