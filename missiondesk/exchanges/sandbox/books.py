"""What one account has at the exchange: orders, fills, balances and positions, as they are written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal

from missiondesk.exchanges.sandbox.market import Market
from missiondesk.exchanges.sandbox.matching import Match
from missiondesk.exchanges.sandbox.orders import Fill, Order, OrderRequest, Refusal, RequestRefused
from missiondesk.exchanges.sandbox.pairs import Pair
from missiondesk.exchanges.sandbox.positions import Position
from missiondesk.exchanges.sandbox.state import State

_ZERO = Decimal(0)


class Books:
    """Every change is one transaction of the state. Times are unix seconds."""

    def __init__(self, market: Market, state: State, balances: Mapping[str, Decimal]) -> None:
        self.market = market
        self._state = state
        self._orders = {order.id: order for order in state.orders()}
        self._fills = {fill.id: fill for fill in state.fills()}
        self._open = {order.id: order for order in self._orders.values() if order.status == "open"}
        self._positions = {position.symbol: position for position in state.positions()}
        self._balances = state.balances()
        if not self._balances:
            self.set_balances(balances)

    @property
    def orders(self) -> tuple[Order, ...]:
        """Every order ever accepted, oldest first."""
        return tuple(self._orders.values())

    @property
    def fills(self) -> tuple[Fill, ...]:
        """Every execution, oldest first."""
        return tuple(self._fills.values())

    @property
    def balances(self) -> Mapping[str, Decimal]:
        """What the account owns of each asset, held amounts included."""
        return self._balances

    @property
    def positions(self) -> tuple[Position, ...]:
        """In every market with contracts that was ever traded; flat ones too."""
        return tuple(self._positions.values())

    def order(self, order_id: str) -> Order | None:
        return self._orders.get(order_id)

    def fill(self, fill_id: str) -> Fill:
        return self._fills[fill_id]

    def position(self, symbol: str) -> Position:
        return self._positions.get(symbol, Position(symbol=symbol))

    def held(self, asset: str) -> Decimal:
        """What open orders and positions keep from being spent."""
        needs = [self._needed(order.request, order.remaining, ()) for order in self._open.values()]
        needs += [self._margin(position) for position in self._positions.values()]
        return sum((amount for needed, amount in needs if needed == asset), _ZERO)

    def unrealised(self, asset: str, now: float) -> Decimal:
        """What the positions that are settled in this asset have gained."""
        return sum((self.gain(each, now) for each in self.positions if self._money(each) == asset), _ZERO)

    def gain(self, position: Position, now: float) -> Decimal:
        """What a position has gained, in the asset that settles it."""
        contract = self.market.listing[position.symbol].contract
        return position.gain(contract, self.market.price(position.symbol, now)) if contract else _ZERO

    def set_balances(self, balances: Mapping[str, Decimal]) -> None:
        """Replace what the account owns of these assets."""
        self._balances.update(balances)
        self._state.save_balances(balances)

    def set_leverage(self, symbol: str, leverage: Decimal) -> Position:
        """Of the position there is, and of what is opened next.

        Raises RequestRefused when the position would need more than is free.
        """
        before = self.position(symbol)
        after = before.model_copy(update={"leverage": leverage})
        asset, margin = self._margin(after)
        if margin > self._margin(before)[1] and margin - self._margin(before)[1] > self._free(asset):
            raise RequestRefused(Refusal.INSUFFICIENT_FUNDS)
        self._state.save_positions([after], {})
        self._positions[symbol] = after
        return after

    def _free(self, asset: str) -> Decimal:
        return self._balances.get(asset, _ZERO) - self.held(asset)

    def _money(self, position: Position) -> str:
        return self.market.listing[position.symbol].money

    def _margin(self, position: Position) -> tuple[str, Decimal]:
        contract = self.market.listing[position.symbol].contract
        return self._money(position), position.margin(contract) if contract else _ZERO

    def _needed(
        self, request: OrderRequest, amount: Decimal, matches: Iterable[Match]
    ) -> tuple[str, Decimal]:
        """What an order may cost at most, fee included: the asset and how much of it."""
        pair = self.market.listing[request.symbol]
        if pair.contract is not None:
            position = self.position(request.symbol)
            return pair.money, position.needed(request, amount, matches, pair.contract, pair.taker)
        if request.side == "sell":
            return pair.base, amount
        taken_cost = sum((each.price * each.amount for each in matches), _ZERO)
        cost = taken_cost if request.price is None else amount * request.price
        return pair.quote, cost * (1 + pair.taker)

    def _save(self, order: Order, fills: list[Fill]) -> Order:
        """Write order, fills, balances and position down in one transaction, then know them."""
        position, changed = self._moved(order, fills)
        self._state.save(order, fills, changed, position)
        self._balances.update(changed)
        self._positions.update((each.symbol, each) for each in position)
        self._fills.update((fill.id, fill) for fill in fills)
        self._orders[order.id] = order
        if order.status == "open":
            self._open[order.id] = order
        else:
            self._open.pop(order.id, None)
        return order

    def _moved(self, order: Order, fills: list[Fill]) -> tuple[list[Position], dict[str, Decimal]]:
        """The position, where there are any, and the balances of the pair's assets after these fills."""
        pair = self.market.listing[order.request.symbol]
        if pair.contract is not None:
            position, realised = self.position(pair.symbol).after(fills, pair.contract)
            earned = rounded(realised, pair.cost_decimals) - sum((fill.fee for fill in fills), _ZERO)
            return [position], {pair.money: self._balances.get(pair.money, _ZERO) + earned}
        base, quote = (self._balances.get(asset, _ZERO) for asset in (pair.base, pair.quote))
        for fill in fills:
            sign = 1 if fill.side == "buy" else -1
            base += sign * fill.amount
            quote -= sign * fill.cost + fill.fee
        return [], {pair.base: base, pair.quote: quote}

    def _deliver(self, pair: Pair, price: Decimal) -> None:
        """Settle the position in a future that has come to its end."""
        position = self.position(pair.symbol)
        gained = position.gain(pair.contract, price) if pair.contract is not None else _ZERO
        after = Position(symbol=pair.symbol, leverage=position.leverage)
        owned = self._balances.get(pair.money, _ZERO) + rounded(gained, pair.cost_decimals)
        self._state.save_positions([after], {pair.money: owned})
        self._positions[pair.symbol] = after
        self._balances[pair.money] = owned


def rounded(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
