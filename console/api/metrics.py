"""Counts and states in the text format that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from console.api.refusals import documented
from missiondesk.feeds.board import OLDEST_QUOTE
from missiondesk.store.counts import Counts, ResultCounter, count_rows
from missiondesk.store.feed_figures import FeedFiguresStore
from models.quote import FeedFigures

router = APIRouter(tags=["Metrics"])


class DeskMetrics(Collector):
    """Asks the database anew for every answer, so that it does not matter which process is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._results = ResultCounter(engine)
        self._feeds = FeedFiguresStore(engine)
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        counts = count_rows(self._engine)
        yield _missions(counts)
        yield _gauge("tasks", "Tasks in the table", counts.tasks)
        yield _gauge("conditions", "Conditions in the table", counts.conditions)
        yield _gauge("open_missionaries", "Walks that have not ended", counts.open_missionaries)
        yield _gauge("running_ticks", "Ticks that hold a Missionary now", counts.running_ticks)
        yield _gauge("halted", "1 while the kill switch is on", counts.halted)
        yield _orders(counts)
        results = CounterMetricFamily("missiondesk_results", "Results in the log", labels=["result"])
        counted = self._results.count()
        for passed, word in ((True, "passed"), (False, "failed")):
            results.add_metric([word], counted.get(passed, 0))
        yield results
        yield from _feeds(self._feeds.read())

    def text(self) -> bytes:
        """Raises DatabaseUnreachable."""
        return generate_latest(self._registry)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        HTTPStatus.OK.value: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}},
        **documented(HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
def read_metrics(request: Request) -> Response:
    """For Prometheus; with a token set, it needs it as its `credentials`."""
    metrics: DeskMetrics = request.app.state.metrics
    return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(f"missiondesk_{name}", help, value=value)


def _missions(counts: Counts) -> Metric:
    missions = GaugeMetricFamily("missiondesk_missions", "Missions in the table", labels=["state"])
    missions.add_metric(["enabled"], counts.enabled_missions)
    missions.add_metric(["disabled"], counts.disabled_missions)
    return missions


def _orders(counts: Counts) -> Metric:
    orders = GaugeMetricFamily("missiondesk_orders", "Orders on record", labels=["mode", "status"])
    for (mode, status), count in sorted(counts.orders.items()):
        orders.add_metric([mode, status], count)
    return orders


def _feeds(figures: Sequence[tuple[FeedFigures, float]]) -> Iterator[Metric]:
    """Of each market that is fed, or was within the last day."""
    market = ("exchange", "symbol")
    age = GaugeMetricFamily("missiondesk_feed_age_seconds", "Age of the newest quote", labels=market)
    stale = GaugeMetricFamily("missiondesk_feed_stale_sides", "Sides not to be priced", labels=market)
    counted = {
        "messages": CounterMetricFamily("missiondesk_feed_messages", "Order books heard", labels=market),
        "quotes": CounterMetricFamily("missiondesk_feed_quotes", "Best prices told", labels=market),
        "stored": CounterMetricFamily("missiondesk_feed_stored_quotes", "Best prices stored", labels=market),
        "reconnects": CounterMetricFamily("missiondesk_feed_reconnects", "Reconnections", labels=market),
    }
    for each, seconds in figures:
        place = (each.exchange, each.symbol)
        age.add_metric(place, seconds)
        # A feed that has ended no longer says that its prices are old.
        stale.add_metric(place, 2 if seconds > OLDEST_QUOTE.total_seconds() else each.stale_sides)
        for name, counter in counted.items():
            counter.add_metric(place, getattr(each, name))
    yield from (age, stale, *counted.values())
