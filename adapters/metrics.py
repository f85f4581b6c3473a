"""What a worker counts and measures, for Prometheus: a registry of its own, nothing global.

Counters and histograms begin with the process and count what this worker committed; gauges say what it last observed. Every series of a
partition is there from its first observation, at 0: a rate over a series that begins at 1 would not see that 1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from types import MappingProxyType
from typing import Final, Literal, get_args

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from domain.columns import MAX_BATCH_COMMANDS
from domain.events import COMMAND_REFUSED, EVENT_WORDS, RECORD_UNREADABLE, TRADE_EXECUTED
from domain.rules import RULES
from eventstore.blocks import Block

Role = Literal["owner", "standby", "none"]
ROLES: Final = get_args(Role)
KINDS: Final = 256
COMMIT_S: Final = tuple(
    1e-3 * ms for ms in (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
)
TAKEOVER_S: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
FILL: Final = tuple(2**bits for bits in range(MAX_BATCH_COMMANDS.bit_length()))


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """A partition as one worker has it.

    epoch, seq        of the last block on record that this worker knows of
    followed_seq      the last block that its standby has
    inbox_commands    commands that wait for the writer
    in_flight_blocks  blocks decided and not yet committed
    relay_seq         the last block that the brokers have acknowledged
    relay_lag_blocks  blocks committed and not yet acknowledged by them
    trouble           what it waits out, empty when nothing
    """

    partition: int
    role: Role
    epoch: int = 0
    seq: int = 0
    followed_seq: int = 0
    inbox_commands: int = 0
    in_flight_blocks: int = 0
    relay_seq: int = 0
    relay_lag_blocks: int = 0
    trouble: str = ""

    @property
    def follower_lag_blocks(self) -> int:
        """Blocks on record that the standby does not have; 0 where there is none."""
        return max(self.seq - self.followed_seq, 0) if self.role == "standby" else 0


@dataclass(slots=True)
class _Series:
    """The counters and histograms of one partition, so that a commit looks nothing up."""

    blocks: Counter
    commands: Counter
    events: Counter
    trades: Counter
    unreadable: Counter
    fenced: Counter
    commit_s: Histogram
    fill: Histogram
    takeover_s: Histogram
    refusals: dict[int, Counter] = field(default_factory=dict)


class Metrics:
    """The metrics of the worker called *worker*. May be used from several threads.

    inbox_commands  bound of its inboxes, to which the gauge of what waits is compared
    registry        what /metrics shows
    """

    def __init__(self, worker: str, *, inbox_commands: int = 4 * MAX_BATCH_COMMANDS) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"outcry_{name}", text, ("partition", *labels), registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"outcry_{name}", text, ("partition", *labels), registry=registry)

        def histogram(name: str, text: str, bounds: Sequence[float]) -> Histogram:
            return Histogram(f"outcry_{name}", text, ("partition",), registry=registry, buckets=bounds)

        info = Gauge(
            "outcry_worker_info", "What this worker is called, and its release; always 1.", ("worker", "version"), registry=registry
        )
        info.labels(worker, version("outcry")).set(1)
        Gauge("outcry_inbox_bound_commands", "Commands that an inbox holds at most.", registry=registry).set(inbox_commands)
        self._observed = Gauge("outcry_observed_timestamp_seconds", "When the gauges were last observed.", registry=registry)

        self._blocks = counter("blocks", "Blocks committed.")
        self._commands = counter("commands", "Commands committed.")
        self._events = counter("events", "Events committed.")
        self._trades = counter("trades", "Trades committed.")
        self._refusals = counter("refusals", "Commands refused, by the rule that refused them (docs/rules.md).", "rule")
        self._unreadable = counter("unreadable_records", "Records of an input that nobody could read, put on record as such.")
        self._fenced = counter("fenced", "Times this worker lost the partition to another while it wrote.")
        self._commit_s = histogram("commit_seconds", "From a sealed block to a durable one.", COMMIT_S)
        self._fill = histogram("block_commands", "Commands per block.", FILL)
        self._takeover_s = histogram("takeover_seconds", "From deciding to take over until the partition takes commands.", TAKEOVER_S)

        self._role = gauge("role", "1 for what this worker is to the partition, 0 for what it is not.", "role")
        self._gauges = {
            "epoch": gauge("epoch", "Epoch of the last block on record; each takeover raises it."),
            "seq": gauge("record_seq", "Last block on record."),
            "followed_seq": gauge("followed_seq", "Last block that the standby has."),
            "follower_lag_blocks": gauge("follower_lag_blocks", "Blocks on record that the standby does not have."),
            "inbox_commands": gauge("inbox_commands", "Commands that wait for the writer."),
            "in_flight_blocks": gauge("in_flight_blocks", "Blocks decided and not yet committed."),
            "relay_seq": gauge("relay_seq", "Last block that the brokers have acknowledged."),
            "relay_lag_blocks": gauge("relay_lag_blocks", "Blocks committed and not yet acknowledged by the brokers."),
        }
        self._view_seq = gauge("view_seq", "The block that a view is as of.", "view")
        self._view_lag = gauge("view_lag_blocks", "Blocks on record that a view does not show.", "view")
        self._view_stopped = gauge("view_stopped", "1 when a view met a block that it cannot take in; /ready says which.", "view")
        self._view_refused = gauge("view_refused_documents", "Documents that the audit index refuses; they lie beside it.", "view")
        self._view_blocks = gauge("view_blocks", "Blocks that views took in since the worker has them, by where they came from.", "source")
        self._trouble = gauge("trouble", "1 while something is waited out; /ready says what.")
        self._series: dict[int, _Series] = {}

    def on_commit(self, block: Block, events: bytes, commit_s: float) -> None:
        """Count *block*, which is on record, by its *events* (rows of 64 bytes); committing it took *commit_s* seconds."""
        series = self._of(block.partition)
        rows = np.frombuffer(events, "<i8").reshape(-1, EVENT_WORDS)
        kinds = rows[:, 0] & (KINDS - 1)
        of_kind = np.bincount(kinds, minlength=KINDS)
        series.blocks.inc()
        series.commands.inc(block.command_count)
        series.events.inc(block.event_count)
        series.trades.inc(int(of_kind[TRADE_EXECUTED]))
        series.unreadable.inc(int(of_kind[RECORD_UNREADABLE]))
        series.commit_s.observe(commit_s)
        series.fill.observe(block.command_count)
        if of_kind[COMMAND_REFUSED]:
            by_rule = np.bincount(rows[kinds == COMMAND_REFUSED, 1])
            for code in np.flatnonzero(by_rule).tolist():
                self._refused(block.partition, series, code).inc(int(by_rule[code]))

    def observe(self, statuses: Sequence[PartitionStatus]) -> None:
        """Set the gauges to *statuses*, one for every partition that this worker owns or follows."""
        for status in statuses:
            self._of(status.partition)
            for role in ROLES:
                self._role.labels(status.partition, role).set(role == status.role)
            for name, gauge in self._gauges.items():
                gauge.labels(status.partition).set(getattr(status, name))
            self._trouble.labels(status.partition).set(bool(status.trouble))
        self._observed.set_to_current_time()

    def observe_views(
        self,
        partition: int,
        seq: int,
        positions: Mapping[str, int],
        stopped: Collection[str] = (),
        sources: Mapping[str, int] = MappingProxyType({}),
        refused: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Set the gauges of the views of *partition*: its last block on record is *seq*, that of each view in *positions*.

        sources  where blocks came from -> how many
        refused  view -> documents of it that its server will never take
        """
        for source, blocks in sources.items():
            self._view_blocks.labels(partition, source).set(blocks)
        for view, position in positions.items():
            self._view_stopped.labels(partition, view).set(view in stopped)
            self._view_refused.labels(partition, view).set(refused.get(view, 0))
            self._view_seq.labels(partition, view).set(position)
            self._view_lag.labels(partition, view).set(max(seq - position, 0))

    def forget_views(self, partition: int) -> None:
        """Others keep the views of *partition* now: say nothing of them."""
        for gauge in (self._view_seq, self._view_lag, self._view_stopped, self._view_refused, self._view_blocks):
            gauge.remove_by_labels({"partition": str(partition)})

    def takeover(self, partition: int, seconds: float) -> None:
        """This worker took *partition* over, in *seconds*."""
        self._of(partition).takeover_s.observe(seconds)

    def fenced(self, partition: int) -> None:
        """This worker lost *partition*: the record refused its block."""
        self._of(partition).fenced.inc()

    def _of(self, partition: int) -> _Series:
        if (series := self._series.get(partition)) is None:
            series = self._series[partition] = _Series(
                self._blocks.labels(partition),
                self._commands.labels(partition),
                self._events.labels(partition),
                self._trades.labels(partition),
                self._unreadable.labels(partition),
                self._fenced.labels(partition),
                self._commit_s.labels(partition),
                self._fill.labels(partition),
                self._takeover_s.labels(partition),
            )
        return series

    def _refused(self, partition: int, series: _Series, code: int) -> Counter:
        if code not in series.refusals:
            series.refusals[code] = self._refusals.labels(partition, RULES[code - 1].name)
        return series.refusals[code]
