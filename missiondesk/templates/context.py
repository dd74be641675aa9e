"""What a template sees of the run it is tried in, and the ports through which it reaches the world."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from missiondesk.market.candles import Candles
from models.account import Mode
from models.component import Outcome
from models.market import Ticker
from models.order import LeafKey, Order, OrderProgress, Position, TradeRequest
from models.result import Role


class Markets(Protocol):
    """Market data as of the tick's evaluation time."""

    def closed_candles(
        self, exchange: str, symbol: str, timeframe: str, count: int, now: datetime
    ) -> Candles:
        """The newest `count` closed candles (open + timeframe ≤ now), oldest first; fewer if there are fewer.

        Waits a bounded time for the newest expected bar, then raises DataStale, unless the venue shows
        that nothing traded. Raises InputRefused for a size outside 1–1000 or an unknown granularity.
        """
        ...

    def latest_price(self, exchange: str, symbol: str, now: datetime) -> tuple[Decimal, str]:
        """The newest price "now" and which one it is: `last trade` or `1m close`."""
        ...

    def ticker(self, exchange: str, symbol: str) -> Ticker: ...


class Conditions(Protocol):
    """Named booleans shared by all Missions. A name that does not exist is created as false."""

    def exists(self, name: str) -> bool:
        """Whether there is such a Condition; creates none."""
        ...

    def read(self, name: str) -> bool: ...

    def write(self, name: str, valid: bool) -> None: ...


class Orders(Protocol):
    """The order gateway, as templates see it."""

    def work(self, request: TradeRequest, now: datetime) -> OrderProgress:
        """Follow the order of this place, or send it if there is none: once, however often it is called."""
        ...

    def filled(self, key: LeafKey) -> bool:
        """Whether the order of this place is already filled."""
        ...

    def started(self, key: LeafKey) -> Order | None:
        """The newest order of this place, if one may be at the venue or has filled anything; else None.

        An intent that was never sent, and orders that ended without a fill, do not count: their decision
        is taken anew.
        """
        ...

    def position(
        self, account: str, mode: Mode, mission_id: int, exchange: str, symbol: str
    ) -> Position | None:
        """The open position of this Mission's chain with its volume-weighted entry; None when flat."""
        ...

    def closable(
        self, account: str, mode: Mode, mission_id: int, exchange: str, symbol: str
    ) -> Position | None:
        """The same, but in a contract market what the venue shows of the account, whoever opened it."""
        ...


class Memory(Protocol):
    """Members of a `sequence` that passed in this Missionary."""

    def has_passed(self, key: LeafKey) -> bool: ...

    def remember(self, key: LeafKey) -> None: ...


class Components(Protocol):
    """Programs elsewhere that can be asked to work."""

    def work(
        self, context: Context, module: str, args: Any, timeout_seconds: float, *, repeatable: bool
    ) -> Outcome:
        """Ask the component (its hash or name) once for this place and wait for its outcome.

        Where it is in doubt whether the work was done, it is asked again only if the work is `repeatable`.
        """
        ...


@dataclass(frozen=True)
class Context:
    """The run a template is tried in. `leaf` is the path inside a mix, "" at the top."""

    mission_id: int
    mission: str
    missionary_id: int
    task_id: int
    task: str
    role: Role
    task_index: int | None
    account: str
    mode: Mode
    exchange: str
    scheduled_at: datetime
    now: datetime
    markets: Markets
    conditions: Conditions
    orders: Orders
    memory: Memory
    leaf: str = ""
    components: Components | None = None

    @property
    def key(self) -> LeafKey:
        return LeafKey(self.missionary_id, self.role, self.task_index, self.leaf)

    def member(self, index: int) -> Context:
        """The context of a mix's member."""
        return replace(self, leaf=f"{self.leaf}.{index}" if self.leaf else str(index))
