"""What the kernel emitted, made into blocks: columns, zstd, SHA-256. No disk."""

from __future__ import annotations

import time
from collections.abc import Sequence

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.flows import Flow
from benchmarks.market import NUMBER, Market, events_of
from domain.verbs import COMMAND_BYTES, RECEIVED_NS
from eventstore.blocks import Block, Head, after, genesis, seal


def run(flow: Flow, runs: int, show: Show) -> dict[str, object]:
    """Median of *runs* over the same rows."""
    batches = flow.batches()
    happened = events_of(Market(flow).fresh(), batches)
    seconds: list[float] = []
    blocks: list[Block] = []
    for number in range(runs):
        taken, blocks = sealed(genesis(NUMBER), batches, happened)
        seconds.append(taken)
        show((number + 1) / runs)
    counted = report.tally(batches, happened)
    return report.report(
        flow,
        seconds,
        counted,
        bytes_per_event=bytes_per_event(blocks),
        blocks=len(blocks),
        ms_per_block=round(1e3 * sorted(seconds)[runs // 2] / len(blocks), 3),
    )


def sealed(head: Head, batches: Sequence[bytes], happened: Sequence[bytes]) -> tuple[float, list[Block]]:
    """Seconds to seal a block of each batch, and the blocks."""
    blocks = []
    began = time.perf_counter()
    for batch, events in zip(batches, happened, strict=True):
        blocks.append(seal(head, batch, events, time_of(batch)))
        head = after(blocks[-1])
    return time.perf_counter() - began, blocks


def time_of(batch: bytes) -> int:
    """When the last row was received: the flows' time rises."""
    at = len(batch) - COMMAND_BYTES + 8 * RECEIVED_NS
    return int.from_bytes(batch[at : at + 8], "little")


def bytes_per_event(blocks: Sequence[Block]) -> float:
    """Bytes of payload, commands included, per event."""
    return round(sum(len(block.payload) for block in blocks) / sum(block.event_count for block in blocks), 2)
