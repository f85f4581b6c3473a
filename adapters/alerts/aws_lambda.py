"""Alerts evaluated by a function in the shape of AWS Lambda, which a Kafka trigger hands batches of the topic `blocks`.

    adapters.alerts.aws_lambda.handler     what to name as the handler; settings come from the environment (OUTCRY_POSTGRES, …)

It is one more way to drive the same fold: the rules, the stream and the position are those of `outcry worker alerts`, and a block that
comes twice changes nothing. What the batch does not bring is read from the record. A new instance folds the record from its first block.

The trigger must report batch item failures (ReportBatchItemFailures). A record that is no block of ours is reported alone, what it should
have been is read from the record. A block that cannot be evaluated now is reported with all behind it in its partition.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from adapters import settings
from adapters.alerts.rules import AlertRules
from adapters.alerts.stream import VIEW, AlertStream
from adapters.alerts.worker import Ruled
from adapters.redis_view import connect
from adapters.settings import Settings
from eventstore import wire
from eventstore.blocks import Block
from eventstore.errors import Damaged, Disagree, NewerSchema
from eventstore.postgres import PostgresLog
from projections.keeper import Keeper

_LOG: Final = logging.getLogger(__name__)
_BAD_RECORD: Final = (Damaged, Disagree, NewerSchema, binascii.Error, KeyError, TypeError, ValueError)


class NotTaken(Exception):
    """A block is not in the stream yet, and why."""


def handler(event: Mapping[str, Any], _context: object) -> dict[str, list[dict[str, Any]]]:
    """Take a batch in; what of it is to come again. Raises what connecting raises: then all of it is."""
    return _function().handle(event)


@cache
def _function() -> Function:
    return Function(settings.load(os.environ))


class Function:
    """What lives as long as an instance: connections, and a fold for each partition. Raises StoreFailed, NewerSchema, BadSettings."""

    def __init__(self, given: Settings) -> None:
        self._log = PostgresLog(given.postgres, cluster=given.cluster)
        self._rules, self._client = AlertRules(given.postgres), connect(given.redis)
        self._at_once = threading.Event()
        self._at_once.set()  # nothing is waited for: who triggers tries again
        self._keepers: dict[int, Keeper] = {}

    def close(self) -> None:
        """Leave the servers."""
        self._log.close()
        self._rules.close()
        self._client.close()

    def handle(self, event: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """As handler()."""
        failed: list[dict[str, Any]] = []
        for place, records in event["records"].items():
            failed += [{"itemIdentifier": {"topic-partition": place, "offset": offset}} for offset in self._failures(place, records)]
        return {"batchItemFailures": failed}

    def _failures(self, place: str, records: Sequence[Mapping[str, Any]]) -> list[int]:
        """Offsets of those of one partition that are to come again."""
        wrong: list[int] = []
        for number, record in enumerate(records):
            try:
                self._take(self._block(record))
            except _BAD_RECORD as bad:
                _LOG.error("%s, offset %s is no block of ours: %s: %s", place, record.get("offset"), type(bad).__name__, bad)
                wrong.append(int(record["offset"]))
            except NotTaken as why:
                _LOG.error("%s, offset %s: %s", place, record["offset"], why)
                return [*wrong, *(int(each["offset"]) for each in records[number:])]
        return wrong

    def _block(self, record: Mapping[str, Any]) -> Block:
        """What *record* carries. Raises one of _BAD_RECORD."""
        headers = {name: bytes(value) for header in record["headers"] for name, value in header.items()}
        if headers["cluster"].decode() != self._log.cluster:
            raise Disagree(str(record["topic"]), int(record["partition"]), "the record is not of this cluster")
        block = wire.decode(base64.b64decode(record["value"], validate=True))
        if block.partition != int(record["partition"]):
            raise Disagree(str(record["topic"]), int(record["partition"]), f"it has a block of partition {block.partition}")
        return block

    def _take(self, block: Block) -> None:
        """Evaluate *block*, and those before it that were not yet. Raises NotTaken."""
        if not block.partition:
            return  # the registry's
        keeper = self._keepers.get(block.partition)
        if keeper is None:
            keeper = self._keepers[block.partition] = Keeper(
                block.partition,
                {VIEW: lambda: Ruled(self._rules, self._at_once)},
                lambda _: AlertStream(self._client, self._log.cluster, self._at_once),
                self._log,
            )
        keeper.take(block)
        keeper.write()
        while keeper.positions()[VIEW] < block.seq and keeper.tend():
            pass
        if keeper.positions()[VIEW] < block.seq:
            del self._keepers[block.partition]
            raise NotTaken("; ".join(keeper.not_ready()) or f"the record ends before block {block.seq}")
