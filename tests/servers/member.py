"""A process that is a member of a consumer group for commands: takes what it is given from the beginning, and says what it sees.

    python -m tests.servers.member BOOTSTRAP GROUP NAME PREFIX PARTITIONS

A line each: assigned P, revoked P, batch P OFFSET.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from adapters.kafka_inbox import BadPosition, CommandsInbox


def tell(*words: object) -> None:
    """One line, in one write: killed or not, it is there or not."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def main() -> int:
    bootstrap, group, name, prefix, partitions = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def assigned(partition: int) -> None:
        tell("assigned", partition)

    def failed(partition: int, error: BadPosition) -> None:
        tell("failed", partition, error)

    CommandsInbox(
        bootstrap,
        group,
        range(1, int(partitions) + 1),
        on_assigned=assigned,
        on_revoked=lambda partition: tell("revoked", partition),
        on_batch=lambda partition, _, offset: tell("batch", partition, offset),
        on_failed=failed,
        worker=name,
        prefix=prefix,
    ).run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
