"""A worker of alerts: evaluates the rules over the blocks, as a worker of views keeps a view, into the stream."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Final

import redis

from adapters.alerts.rules import AlertRules
from adapters.alerts.stream import VIEW, AlertStream
from adapters.settings import Settings
from adapters.views_worker import ViewsWorker
from eventstore.errors import StoreFailed
from eventstore.ports import BlockLog
from projections.alert_rules import Change
from projections.alerts import Alerts
from projections.columns import Columns
from projections.runs import parted
from projections.states import States
from projections.view import Rows

RETRY_S: Final = 0.5
_LOG: Final = logging.getLogger(__name__)


class Ruled:
    """Alerts (a Fold) that learn of their rules before each block. Where these cannot be had they are waited for, until *stop*."""

    version: Final = Alerts.version
    takes_runs: Final = True

    def __init__(self, rules: AlertRules, stop: threading.Event) -> None:
        self._rules, self._stop = rules, stop
        self._alerts = Alerts()

    def fold(self, block: Columns) -> Rows:
        """See Fold. Raises StoreFailed when told to stop while it waits."""
        changes = self._changes(block)
        rows: Rows = {}
        for part in parted(block, {change.seq for change in changes}):
            self._alerts.change([change for change in changes if self._alerts.changed < change.number and change.seq <= part.first_seq])
            rows |= self._alerts.fold(part)
        return rows

    def _changes(self, block: Columns) -> Sequence[Change]:
        waits = False
        while True:
            try:
                return self._rules.changes(block.partition, self._alerts.changed, block.seq)
            except StoreFailed as failed:
                if not waits:
                    _LOG.warning("partition %d: alert rules: %s; waiting", block.partition, failed, extra={"partition": block.partition})
                waits = True
                if self._stop.wait(RETRY_S):
                    raise

    def state(self) -> bytes:
        """See Fold."""
        return self._alerts.state()

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._alerts.restore(state)


def ruled(rules: AlertRules) -> Ruled:
    """A new fold that waits for no rules: it raises StoreFailed when they cannot be had."""
    at_once = threading.Event()
    at_once.set()
    return Ruled(rules, at_once)


class AlertsWorker:
    """Evaluates the alert rules of the partitions that the consumer group gives it. See ViewsWorker."""

    def __init__(self, settings: Settings, log: BlockLog, cluster: str, client: redis.Redis, states: States) -> None:
        self._settings, self._log, self._cluster, self._client, self._states = settings, log, cluster, client, states

    def serve(self, stop: threading.Event) -> None:
        """Until *stop*. Raises what ended it otherwise."""
        rules = AlertRules(self._settings.postgres)
        worker = ViewsWorker(
            self._settings,
            self._log,
            self._cluster,
            {VIEW: lambda: Ruled(rules, stop)},
            lambda _: AlertStream(self._client, self._cluster, stop),
            self._states,
        )
        try:
            worker.serve(stop)
        finally:
            rules.close()
