"""The service's Prometheus metrics. No label holds a customer's data."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one service, in a registry of its own, so that one process may run several services."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "engage_http_requests", "Answered requests.", ["method", "route", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "engage_http_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.batches = Counter("engage_batches", "Batches of events by outcome.", ["outcome"], registry=self.registry)
        self.events = Counter("engage_events", "Stored events by type.", ["type"], registry=self.registry)
        self.rejected = Counter(
            "engage_events_rejected", "Rejected events by reason.", ["reason"], registry=self.registry
        )
        self.waiting = Gauge("engage_intake_waiting", "Batches that wait to be written.", registry=self.registry)
        self.pool = Gauge("engage_pool_connections", "Database connections in use.", registry=self.registry)
        self.clock_off = Gauge(
            "engage_clock_offset_seconds",
            "This clock, ahead of the database's.",
            registry=self.registry,
        )
        self.campaigns = Gauge("engage_campaigns", "Campaigns by status.", ["status"], registry=self.registry)
        self.receipts = Counter("engage_receipts", "Delivery receipts by outcome.", ["outcome"], registry=self.registry)
        self.inbound = Counter(
            "engage_inbound_texts", "Texts from customers by class.", ["text_class"], registry=self.registry
        )
