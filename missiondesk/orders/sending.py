"""From a request to an order at the venue: intent, the one conditional move to sent, and the answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from missiondesk.exchanges.port import Trading
from missiondesk.orders.admission import Standing, halted, refusal
from missiondesk.orders.decision import Decided, Snapshot, decide, may_reduce
from missiondesk.orders.exposure import Book
from missiondesk.orders.reconcile import Done, Send, after_report
from missiondesk.orders.settlement import Settlement
from missiondesk.orders.sizing import Denied
from missiondesk.orders.terms import Quotes, Terms
from missiondesk.store.orders import Ledger
from models.errors import (
    CredentialsRefused,
    ExchangeUnreachable,
    LeaseLost,
    OrderRejected,
    OutcomeUnknown,
    UnknownName,
    VenueClosed,
)
from models.market import Instrument
from models.order import (
    ExchangeOrder,
    Order,
    OrderStatus,
    StrategyKey,
    TradeRequest,
    client_order_id,
)

log = logging.getLogger(__name__)

_MINUTE = timedelta(minutes=1)

_TOO_LATE = "its moment had passed"


@dataclass(frozen=True)
class Sender:
    """Sends new orders for one tick. `holder` is the flow run whose lease they need."""

    settlement: Settlement
    quotes: Quotes
    holder: str
    clock: Callable[[], datetime]

    def send(self, request: TradeRequest, send: Send) -> Order | Denied | Done:
        """At most one order to the venue, and its row.

        A bare Denied has no row: the desk's own row is missing. Raises LeaseLost; ExchangeUnreachable before
        anything was sent; CredentialsRefused and VenueClosed, with the order rejected.
        """
        instrument = self.settlement.instrument(request.exchange, request.symbol)
        standing = self._held(self.settlement.orders.standing(request, self.holder), request)
        may = may_reduce(request, instrument)
        if (reason := refusal(request, standing, reduces=may)) is not None:
            return self._intend(request, send, Denied(reason))
        with self.settlement.venues.turn(standing.account, request.mode) as trading:
            terms = self.quotes.terms(request, instrument, standing.account, trading)
            intended = self._intend(request, send, terms)
            if isinstance(intended, Order) and intended.status is OrderStatus.INTENT:
                return self._place(trading, intended, instrument, request)
            return intended

    def _intend(self, request: TradeRequest, send: Send, terms: Terms | Denied) -> Order | Denied | Done:
        with self.settlement.orders.ledger(request.account) as ledger:
            now = self.clock()
            standing = self._held(ledger.standing(request, self.holder), request)
            if isinstance(terms, Denied):
                decision: Decided | Denied | Done = terms
            else:
                decision = decide(request, send, terms, _snapshot(ledger, request, standing, terms, now))
            if isinstance(decision, Done):
                return decision
            if standing.desk is None:
                return decision if isinstance(decision, Denied) else Denied("the desk has no row")
            limit = None if isinstance(terms, Denied) else terms.limit
            order = _row(request, send, decision, limit, standing.desk.installation, now)
            written = ledger.write(order, send.denied)
            if written is None:
                raise LeaseLost(f"another tick made attempt {send.attempt} of this order at the same moment")
            return written

    def _place(self, trading: Trading, intent: Order, instrument: Instrument, request: TradeRequest) -> Order:
        at = self.clock()
        window = self.settlement.patience.send_window
        deadline = at + window
        sent = self.settlement.orders.mark_sent(intent, self.holder, at, deadline, oldest=at - window)
        if sent is None:
            return self._not_sent(intent, request)
        if self.clock() >= deadline:
            return self._became(sent, OrderStatus.CANCELLED, f"not sent: {_TOO_LATE}")
        try:
            report = trading.place(
                client_order_id=sent.client_order_id,
                symbol=sent.symbol,
                side=sent.side,
                type=sent.type,
                amount=sent.amount,
                price=sent.price,
                deadline=deadline,
                reduce_only=sent.reduce_only,
                leverage=request.leverage,
            )
        except OrderRejected as error:
            return self._became(sent, OrderStatus.REJECTED, str(error))
        except (CredentialsRefused, VenueClosed, UnknownName) as error:
            self._became(sent, OrderStatus.REJECTED, str(error))
            raise
        except (OutcomeUnknown, ExchangeUnreachable) as error:
            return self._became(sent, OrderStatus.UNKNOWN, str(error))
        return self._taken(trading, sent, report, instrument, request)

    def _taken(
        self,
        trading: Trading,
        sent: Order,
        report: ExchangeOrder,
        instrument: Instrument,
        request: TradeRequest,
    ) -> Order:
        orders = self.settlement.orders
        written = orders.move(sent, after_report(sent, report, instrument.lot), self.clock())
        if written.exchange_order_id is not None:
            return written
        # Someone looked for it before it got there: another tick, or a halt that could not cancel it.
        stopped = halted(orders.standing(request, self.holder).desk, reduces=sent.reduce_only)
        if report.status == "open" and (written.status.is_final or stopped is not None):
            log.error("order %s arrived after it was given up; it is cancelled", sent.client_order_id)
            report = trading.cancel(report)
        return orders.move(written, after_report(written, report, instrument.lot), self.clock())

    def _not_sent(self, intent: Order, request: TradeRequest) -> Order:
        """Someone else took the intent back, or what allowed it is gone; either way it is not sent."""
        now = self.settlement.orders.get(intent.client_order_id)
        if now.status is not OrderStatus.INTENT:
            return now
        standing = self.settlement.orders.standing(request, self.holder)
        if _lease_lost(standing):
            self.settlement.discard(now, "not sent: its tick lost the lease")
            raise LeaseLost("another tick holds this Missionary now; the order was not sent")
        reason = refusal(request, standing, reduces=intent.reduce_only)
        return self.settlement.discard(now, f"not sent: {reason or _TOO_LATE}")

    def _became(self, order: Order, status: OrderStatus, reason: str) -> Order:
        after = order.model_copy(update={"status": status, "reason": reason})
        return self.settlement.orders.move(order, after, self.clock())

    def _held(self, standing: Standing, request: TradeRequest) -> Standing:
        if _lease_lost(standing):
            raise LeaseLost(f"another tick holds the missionary of mission {request.mission_id} now")
        return standing


def _lease_lost(standing: Standing) -> bool:
    mission = standing.mission
    return mission is not None and mission.open and not mission.leased


def _snapshot(
    ledger: Ledger, request: TradeRequest, standing: Standing, terms: Terms, now: datetime
) -> Snapshot:
    account, mode = request.account, request.mode
    limited = standing.account.max_orders_per_minute is not None
    return Snapshot(
        standing=standing,
        orders_last_minute=ledger.sent_since(account, mode, now - _MINUTE) if limited else 0,
        chain=_chain(ledger, request) if may_reduce(request, terms.instrument) else (),
        book=Book() if terms.midnight is None else ledger.book(account, mode, terms.midnight),
    )


def _chain(ledger: Ledger, request: TradeRequest) -> list[Order]:
    """What a request may reduce: the orders of its chain of Missions, or of its strategy's run."""
    place, market = (request.account, request.mode), (request.exchange, request.symbol)
    if isinstance(request.key, StrategyKey):
        return ledger.run_book(*place, request.key.run_id, *market)
    return [] if request.mission_id is None else ledger.chain_book(*place, request.mission_id, *market)


def _row(
    request: TradeRequest,
    send: Send,
    decision: Decided | Denied,
    limit: Decimal | None,
    installation: UUID,
    now: datetime,
) -> Order:
    if isinstance(decision, Denied):
        status, reason, reduces = OrderStatus.DENIED, decision.reason, request.reduce_only
    else:
        status, reason, reduces = OrderStatus.INTENT, "", decision.reduces
    return Order(
        client_order_id=client_order_id(installation, request.key, send.attempt),
        mission_id=request.mission_id,
        task_id=request.task_id,
        **request.key.columns,
        attempt=send.attempt,
        account=request.account,
        exchange=request.exchange,
        symbol=request.symbol,
        side=request.side,
        type="market" if request.price is None else "limit",
        amount=decision.amount,
        price=limit,
        mode=request.mode,
        reduce_only=reduces,
        status=status,
        reason=reason,
        created_at=now,
        updated_at=now,
    )
