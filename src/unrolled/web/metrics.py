"""What is counted, for Prometheus: how many and how long, nothing of what was in a photo."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The service's counters, in a registry of their own.

    Attributes
    ----------
    requests : Counter
        By route, method and status.
    seconds : Histogram
        From a request's first byte to the end of its answer.
    photos : Counter
        By what became of them: captioned, unreadable, dropped or lost.
    batch : Histogram
        Photos that were captioned together.
    model_seconds : Histogram
        That a batch took.
    queue : Gauge
        Photos that wait or are worked on.
    ready : Gauge
        1 while a worker takes photos.
    standing_by : Gauge
        1 while another is loaded, to take its place.
    restarts : Counter
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        name = "unrolled_{}".format
        self.requests = Counter(
            name("requests"), "Requests", ("route", "method", "status"), registry=registry
        )
        self.seconds = Histogram(
            name("request_seconds"), "Time of requests", buckets=_SECONDS, registry=registry
        )
        self.photos = Counter(
            name("photos"), "Photos by what became of them", ("outcome",), registry=registry
        )
        self.batch = Histogram(
            name("batch_photos"),
            "Photos captioned together",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=registry,
        )
        self.model_seconds = Histogram(
            name("batch_seconds"), "Time of a batch", buckets=_SECONDS, registry=registry
        )
        self.queue = Gauge(name("queue_photos"), "Photos being worked on", registry=registry)
        self.ready = Gauge(name("ready"), "1 while a worker takes photos", registry=registry)
        self.standing_by = Gauge(
            name("standing_by"), "1 while another worker stands by", registry=registry
        )
        self.restarts = Counter(
            name("worker_restarts"), "Times that the worker came to an end", registry=registry
        )

    def page(self) -> bytes:
        """Write them as Prometheus reads them.

        Returns
        -------
        bytes
        """
        text: bytes = generate_latest(self._registry)
        return text
