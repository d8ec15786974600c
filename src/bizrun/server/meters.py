"""What the server counts of itself, as Prometheus reads it."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

KIND = CONTENT_TYPE_PLAIN_0_0_4.encode()
_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)
_SECONDS = tuple(ms / 1000 for ms in _MS)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)


class Meters:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._events = Counter(
            "bizrun_events", "Events answered, by what became of them.", ["status"],
            registry=registry,
        )  # fmt: skip
        self._requests = Counter(
            "bizrun_requests", "Requests answered, by route and status code.", ["route", "code"],
            registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "bizrun_request_seconds", "From a request's head to its answer.", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._commits = Histogram(
            "bizrun_commit_seconds", "A transaction with its commit.", buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._shared = Histogram(
            "bizrun_commit_requests", "Requests that shared a commit.", buckets=_SIZES,
            registry=registry,
        )  # fmt: skip
        self._gauges: dict[str, Gauge] = {}

    def events(self, statuses: Iterable[str]) -> None:
        """Counts events that were answered."""
        for status, count in Tally(statuses).items():
            self._events.labels(status).inc(count)

    def request(self, route: str, code: int, nanoseconds: int) -> None:
        """Counts a request that was answered."""
        self._requests.labels(route, str(code)).inc()
        self._seconds.labels(route).observe(nanoseconds / 1_000_000_000)

    def commit(self, requests: int, nanoseconds: int) -> None:
        """Counts a transaction; called by the writer's thread."""
        self._commits.observe(nanoseconds / 1_000_000_000)
        self._shared.observe(requests)

    def set(self, name: str, about: str, value: int, **labels: str) -> None:
        """Says how something stands now."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = Gauge(f"bizrun_{name}", about, list(labels), registry=self._registry)
            self._gauges[name] = gauge
        (gauge.labels(**labels) if labels else gauge).set(value)

    def text(self) -> bytes:
        """All of it, as it is exposed."""
        return generate_latest(self._registry)
