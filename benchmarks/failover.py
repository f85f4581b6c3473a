"""How long a market is silent when its owner is killed, and when it hands over in good order. Two workers, orders all the time.

A kill: from the signal to the first answer to a batch that was sent after the owner was gone. A handover (SIGTERM): the longest time
between two answers while it lasts. The oracle looks at the record in the end: every order once, wherever the owner was.
"""

from __future__ import annotations

import signal
import statistics
import threading
import time
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final, Self

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.market import NUMBER
from benchmarks.servers import begun, servers
from benchmarks.stack import DURABILITY, serving
from benchmarks.traffic import GREETING_BLOCKS, Traffic, check, paced
from benchmarks.workers import Place, Worker, place
from domain.verbs import COMMAND_BYTES
from eventstore.postgres import PostgresLog

RATE: Final = 10_000.0
SEND_S: Final = 0.004
KILLS: Final = 20
HANDOVERS: Final = 5
CALM_S: Final = (0.3, 1.5)
LONGEST_S: Final = 600.0
BEFORE_S: Final = 0.1  # the last answers before it was asked to hand over


def run(
    flow: Flow, runs: int, show: Show, *, stack: Path | None = None, rate: float | None = None, kills: int = KILLS
) -> dict[str, object]:
    """Seconds of each kill and handover. The kills are the runs, and orders flow until the end: *runs* and flow.commands mean nothing."""
    del runs
    per_s, dice = rate or RATE, Random(flow.seed)
    ways = [signal.SIGKILL] * kills + [signal.SIGTERM] * min(HANDOVERS, kills)
    orders = b"".join(replace(flow, commands=round(per_s * LONGEST_S / 2)).batches())
    silent: dict[signal.Signals, list[float]] = {signal.SIGKILL: [], signal.SIGTERM: []}
    cores = Cores()
    with servers(stack) as on, begun(on, flow, snapshots=True) as market, place(market, on) as where:
        serving(where, market.seq[NUMBER])
        with closing(Traffic(where)) as traffic, _Sender(traffic, orders, per_s) as sender, cores.during(where.processes):
            for done, how in enumerate(ways):
                where.start()
                owner = _settled(where)
                time.sleep(dice.uniform(*CALM_S))
                silent[how].append(_silence(where, traffic, owner, how))
                show((done + 1) / len(ways))
            sender.end()
            told = traffic.finish()
        with closing(PostgresLog(where.dsn)) as log:
            check(log, market.seq[NUMBER], max(told), told)
            counted = report.tally_of(block.rows() for block in log.read(NUMBER, market.seq[NUMBER] + GREETING_BLOCKS))
        took, says = max(traffic.answered) - traffic.sent[0], on.says()
    killed, handed = silent[signal.SIGKILL], silent[signal.SIGTERM]
    return report.report(
        flow,
        [took],
        counted,
        durability=DURABILITY.format(market.durability),
        kills=kills,
        kill_to_first_answer_s={"worst": _ms(max(killed)), "median": _ms(statistics.median(killed)), "best": _ms(min(killed))},
        kills_s=[_ms(each) for each in killed],
        handover_longest_gap_s={"worst": _ms(max(handed)), "median": _ms(statistics.median(handed))},
        handovers_s=[_ms(each) for each in handed],
        rate_per_s=round(per_s),
        batch_every_s=SEND_S,
        oracle="each order once in the record, in the order of sending, and each batch in the block that its sender was told",
        cores_used=cores.shares(),
        servers=says,
    )


class _Sender:
    """Sends until it is told to end, in a thread of its own."""

    def __init__(self, traffic: Traffic, orders: bytes, rate: float) -> None:
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(traffic, orders, rate), name="sender", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Send no more. Raises what ended it before, if anything did."""
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self, traffic: Traffic, orders: bytes, rate: float) -> None:
        try:
            paced(orders, rate, traffic.send, gather_s=SEND_S, stop=self._ended.is_set)
            assert self._ended.is_set(), f"orders for {len(orders) / COMMAND_BYTES / rate:.0f} s were enough"
        except BaseException as error:  # noqa: BLE001 - told by end()
            self._failure = error


def _settled(where: Place) -> Worker:
    """The owner, once one worker owns the partition and another stands by."""
    owner: Worker | None = None

    def settled() -> bool:
        nonlocal owner
        owner = where.owner(NUMBER)
        others = (each for each in where.workers if each is not owner and each.process.poll() is None)
        return owner is not None and any(each.role(NUMBER) == "standby" for each in others)

    where.wait(settled, "one worker owns the partition, another follows it")
    assert owner is not None, "one owns it"
    return owner


def _silence(where: Place, traffic: Traffic, owner: Worker, how: signal.Signals) -> float:
    """End *owner* and measure."""
    asked = time.perf_counter()
    owner.end(how)
    gone, first = time.perf_counter(), len(traffic.sent)
    if how == signal.SIGKILL:
        where.wait(lambda: any(traffic.answered[first:]), "an answer after the kill")
        answered = [at for sent, at in zip(traffic.sent[first:], traffic.answered[first:], strict=False) if at and sent >= gone]
        return min(answered) - asked
    where.wait(lambda: owner.process.poll() is not None and where.owner(NUMBER) is not None, "another worker owns the partition")
    first = len(traffic.sent)
    where.wait(lambda: any(traffic.answered[first:]), "an answer after the handover")
    answered = sorted({at for at in traffic.answered if at >= asked - BEFORE_S})
    return max(later - earlier for earlier, later in pairwise(answered))


def _ms(seconds: float) -> float:
    """Seconds to the millisecond."""
    return round(seconds, 3)
