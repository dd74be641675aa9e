"""Positions in contracts as the exchange keeps them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from missiondesk.exchanges.contracts import Contract, NetPosition
from missiondesk.exchanges.sandbox.matching import Match
from missiondesk.exchanges.sandbox.orders import Fill, OrderRequest

_ZERO = Decimal(0)


class Position(BaseModel):
    """One net position: signed contracts, and the leverage of the market, which also flat ones have."""

    model_config = ConfigDict(frozen=True)

    symbol: str
    amount: Decimal = _ZERO
    entry_price: Decimal = _ZERO
    leverage: Decimal = Decimal(1)

    @property
    def net(self) -> NetPosition:
        return NetPosition(self.amount, self.entry_price)

    def margin(self, contract: Contract) -> Decimal:
        """Settlement units that are kept from being spent."""
        if not self.amount:
            return _ZERO
        return contract.worth(abs(self.amount), self.entry_price) / self.leverage

    def gain(self, contract: Contract, price: Decimal) -> Decimal:
        """What is unrealised at a price, in settlement units."""
        return contract.gain(self.amount, self.entry_price, price) if self.amount else _ZERO

    def after(self, fills: Iterable[Fill], contract: Contract) -> tuple[Position, Decimal]:
        """The position after these fills, and the settlement units they realised, before fees."""
        net, realised = self.net, _ZERO
        for fill in fills:
            net, gained = net.traded(contract, fill.side, fill.amount, fill.price)
            realised += gained
        changed = {"amount": net.amount, "entry_price": net.entry_price}
        return self.model_copy(update=changed), realised

    def needed(
        self,
        request: OrderRequest,
        amount: Decimal,
        matches: Iterable[Match],
        contract: Contract,
        fee_rate: Decimal,
    ) -> Decimal:
        """Settlement units an order for `amount` may cost at most: margin for what it opens, and the fee."""
        if request.reduce_only:
            return _ZERO
        if request.price is None:
            worth = sum((contract.worth(match.amount, match.price) for match in matches), _ZERO)
        else:
            worth = contract.worth(amount, request.price)
        opened = max(amount - self.net.reducible(request.side), _ZERO) / amount
        return worth * (opened / self.leverage + fee_rate)
