"""A worker in a process of its own, without a stack: a writer over memory that trades, metrics, and the file by which it is found.

python -m tests.cli.worker FOLDER NAME PARTITION: owns that partition, and follows the next one; until it is killed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from adapters.metrics import Metrics, PartitionStatus
from adapters.status import StatusServer
from commands.writer import Writer
from domain import verbs as v
from eventstore.memory import MemoryLog, MemorySnapshots
from tests import market


def main(folder: Path, name: str, partition: int) -> None:
    """Trade for ever."""
    metrics = Metrics(name)
    writer = Writer(
        MemoryLog(), MemorySnapshots(), partition, on_commit=lambda block, rows, took_s: metrics.on_commit(block, rows.events, took_s)
    )
    setup = market.list_instrument(1) + market.set_state(v.OPEN) + market.open_account(1)
    writer.submit(setup + market.deposit(1, 1, 10**9) + market.deposit(1, 2, 10**12)).result(20)
    trades = (market.sell(1, 1, 100) + market.buy(1, 1, 100)) * 50 + market.buy(9, 1, 100)
    server = StatusServer(metrics, 0, lambda: ["[partition 9] is away"], time.monotonic)
    (folder / "workers").mkdir(exist_ok=True)
    for turn in range(10**9):
        writer.submit(trades).result(20)
        seq = writer.head.seq
        metrics.observe([PartitionStatus(partition, "owner", 7, seq, seq), PartitionStatus(partition + 1, "standby", 1, 5, 5)])
        if turn == 0:
            announced = {"worker": name, "pid": os.getpid(), "port": server.port}
            (folder / "workers" / f"{name}.json").write_text(json.dumps(announced))
        time.sleep(0.005)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
