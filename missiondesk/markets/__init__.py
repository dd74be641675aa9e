"""Markets as objects: what they quote, and orders through the desk's order gateway, blocking or awaited."""

from __future__ import annotations

from missiondesk.markets.create import create_markets
from missiondesk.markets.market import AsyncMarket, Market

__all__ = ["AsyncMarket", "Market", "create_markets"]
