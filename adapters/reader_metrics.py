"""How the readers of a process are, for Prometheus: asked for when it is scraped, so that nothing has to be kept up to date."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from eventstore.ports import BlockLog
from eventstore.read_log import ReadLog
from eventstore.read_pool import ReadPool
from eventstore.reader_choice import Circuit

CIRCUITS: Final = get_args(Circuit)
COUNTED: Final = (
    ("reads", "reads", "Questions about history that were answered."),
    ("by_primary", "primary_reads", "Of those, by the primary, because no standby could."),
    ("waits", "waits", "Questions for which nobody could be asked at once."),
    ("waited_s", "wait_seconds", "How long those waited in all."),
    ("behind", "behind", "Times a server that was asked did not have the block yet."),
    ("failures", "failures", "Times a server did not do what was asked of it."),
    ("unanswered", "unanswered", "Questions that ended with TooFarBehind or NoReader."),
)


def watch(registry: CollectorRegistry, log: BlockLog) -> None:
    """Have *registry* show the readers of *log*, if it is read from such."""
    if isinstance(log, ReadLog):
        registry.register(ReaderMetrics(log.pool))


class ReaderMetrics(Collector):
    """The series `outcry_reader…` of *pool*."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        """As of now."""
        lag = GaugeMetricFamily("outcry_reader_lag_blocks", "Blocks that a server does not have, where it lags most.", labels=["reader"])
        used = GaugeMetricFamily("outcry_reader_connections_in_use", "Connections to a server in use.", labels=["reader"])
        share = GaugeMetricFamily("outcry_reader_connections_bound", "Connections to a server at most.", labels=["reader"])
        circuit = GaugeMetricFamily("outcry_reader_circuit", "1 for what a server's circuit is.", labels=["reader", "circuit"])
        for each in self._pool.standings():
            lag.add_metric([each.name], each.lag_blocks)
            used.add_metric([each.name], each.in_use)
            share.add_metric([each.name], each.share)
            for state in CIRCUITS:
                circuit.add_metric([each.name, state], each.circuit == state)
        yield from (lag, used, share, circuit)
        for field, name, text in COUNTED:
            yield CounterMetricFamily(f"outcry_reader_{name}", text, value=getattr(self._pool.counts, field))
