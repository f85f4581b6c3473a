"""A process that owns a partition: appends blocks to a SQLite record and relays them, until it has or is killed.

python -m tests.servers.relaying RECORD BOOTSTRAP TOPIC BLOCKS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from eventstore.blocks import after
from eventstore.kafka import BlocksTopic
from eventstore.relay import Relay
from eventstore.sqlite import SqliteLog
from tests.contracts.record import block_after
from tests.servers.topic import CLUSTER, PARTITION


def main() -> int:
    record, bootstrap, name, blocks = sys.argv[1:]
    log = SqliteLog(Path(record))
    head = log.claim(PARTITION)
    relay = Relay(log, BlocksTopic(bootstrap, CLUSTER, name), PARTITION)
    relay.start()
    for number in range(int(blocks)):
        block = block_after(head)
        log.append(block)
        head = after(block)
        relay.offer(block)
        if number == 0:
            print("relaying", flush=True)  # noqa: T201
        if number % 50 == 0:
            time.sleep(0.001)
    relay.close(30)
    return int(relay.failure is not None or relay.seq != head.seq)


if __name__ == "__main__":
    sys.exit(main())
