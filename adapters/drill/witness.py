"""The engine as a witness, not as a judge: the record applied block by block, against the balances that were added up and against the
snapshots that the workers kept when they ended. Whatever it says is one more finding, or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapters.drill.money import Money
from adapters.drill.record import Found
from domain import queries
from domain.partition import Partition
from domain.snapshot import BadSnapshot
from eventstore.errors import StoreFailed
from eventstore.postgres_snapshots import PostgresSnapshots


def testify(conninfo: str, blocks: Sequence[Found], partition: int, money: Money, accounts: int) -> Iterator[str]:
    """What is not as it should be: balances of accounts 0 to *accounts*, states of workers."""
    kept = dict(_snapshots(conninfo, partition))
    state = Partition(partition)
    try:
        for block in blocks:
            commands, events, _ = block.rows()
            state.apply(commands.tobytes(), events.tobytes())
            if block.seq in kept and kept.pop(block.seq) != state.state_hash():
                yield f"state: a worker's snapshot of block {block.seq} is not what the record leads to"
    except Exception as error:  # noqa: BLE001 - whatever an altered record does to it is what it has to tell
        yield f"state: the record cannot be applied: {type(error).__name__}: {error}"
        return
    yield from (f"state: a worker kept a snapshot of block {seq}, which the record does not have" for seq in kept)
    for asset in money.owned:
        balances = {account: sum(queries.balances(state, account).get(asset, (0, 0))) for account in range(accounts + 1)}
        yield from money.differences(asset, balances)


def _snapshots(conninfo: str, partition: int) -> Iterator[tuple[int, bytes]]:
    """Block and state hash of each snapshot that was kept."""
    store, at_most = PostgresSnapshots(conninfo), None
    try:
        while (snapshot := store.latest(partition, at_most)) is not None:
            yield snapshot.seq, Partition.restore(snapshot.state).state_hash()
            at_most = snapshot.seq - 1
    except (BadSnapshot, StoreFailed):
        return
