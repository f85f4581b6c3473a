"""The embedded profile as a process: its views follow the record, and say in the metrics how far."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from adapters.settings import load
from adapters.single import Single
from commands.writer import Writer
from domain import verbs as v
from eventstore.memory import MemoryLog, MemorySnapshots
from tests.market import BASE, QUOTE, buy, deposit, list_instrument, open_account, sell, set_state
from tests.waiting import PATIENCE_S, eventually

OPENING = [list_instrument(), set_state(v.OPEN), open_account(1), open_account(2), deposit(1, BASE, 1_000), deposit(2, QUOTE, 10**6)]


def test_views_catch_up_with_the_record_and_follow_what_is_committed(tmp_path: Path) -> None:
    """The last block is one that it writes itself: a clock tick, for an order expires."""
    log, snapshots = MemoryLog(), MemorySnapshots()
    soon_gone = buy(2, 1, 90, time_in_force=v.GTD, expires_ns=time.time_ns() + 2 * 10**9)
    with Writer(log, snapshots, 1) as writer:
        writer.write_all([b"".join(OPENING), sell(1, 5, 100), buy(2, 2, 100), soon_gone])
    before = log.head(1).seq
    port = free_port()
    stop = threading.Event()
    single = Single(load({}, None, store=str(tmp_path), http_port=port), log, snapshots)
    serving = threading.Thread(target=single.serve, args=(stop,))
    serving.start()
    try:
        metrics = shown(f'outcry_view_seq{{partition="1",view="quotes"}} {before + 1}.0', port)
        assert 'outcry_view_lag_blocks{partition="1",view="quotes"} 0.0' in metrics
        assert 'outcry_view_lag_blocks{partition="1",view="statements"}' in metrics
    finally:
        stop.set()
        serving.join(PATIENCE_S)
    assert not serving.is_alive()


def shown(line: str, port: int) -> str:
    """The metrics, once they have *line*."""

    def metrics() -> str:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
            return text if line in text else ""
        return ""

    return eventually(metrics, lambda: f"{line} is not among the metrics")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
