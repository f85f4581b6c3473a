"""What an acknowledgement of PostgreSQL is worth: settings that break the promise, crashes, a standby that must have every block."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest

from adapters.stack.postgres import Postgres
from adapters.stack.stack import Stack
from eventstore.blocks import Block, after, seal
from eventstore.ports import Damaged, StoreFailed
from eventstore.postgres import PostgresLog, Session
from tests.contracts.record import block_after
from tests.eventstore.flow import busy_rows
from tests.waiting import PATIENCE_S, eventually

OwnStack = Callable[..., Stack]
A_WHILE_S = 0.5


def test_settings_that_lose_data_are_refused(own_stack: OwnStack) -> None:
    """Unless whoever starts it says that he knows; then it is said with every answer."""
    stack = own_stack(kafka=False)
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        stack.postgres.settings = {setting: "off"}
        stack.postgres.reload()
        eventually(lambda setting=setting: current(stack, setting) == "off")  # type: ignore[misc]  # which mypy cannot infer
        with pytest.raises(
            StoreFailed,
            match=rf"postgres = '.*': {setting} = off: a crash of the server would lose blocks that were acknowledged; "
            rf"right would be {setting} = on, or --i-know-this-loses-data; nothing was changed",
        ):
            PostgresLog(stack.postgres_dsn())
        with closing(PostgresLog(stack.postgres_dsn(), i_know_this_loses_data=True)) as log:
            assert log.durability == f"postgres, {setting} off: a crash loses data"
    stack.postgres.settings = {}
    stack.postgres.reload()
    eventually(lambda: current(stack, "synchronous_commit") == "on")
    with closing(PostgresLog(stack.postgres_dsn())) as log:
        assert log.durability == "postgres fsync"


def current(stack: Stack, setting: str) -> str:
    """As a new connection of a client has it."""
    import psycopg

    with psycopg.connect(stack.postgres_dsn()) as db:
        return str((db.execute("SELECT current_setting(%s)", (setting,)).fetchone() or ("",))[0])


class Trader(threading.Thread):
    """Appends blocks until it is told to stop, noting what was acknowledged."""

    def __init__(self, log: PostgresLog) -> None:
        super().__init__(daemon=True)
        self._log, self._stop_it = log, threading.Event()
        self.acknowledged: list[Block] = []
        self.failure: BaseException | None = None
        self.longest_s = 0.0

    def run(self) -> None:
        head = self._log.claim(1)
        try:
            while not self._stop_it.is_set():
                block, begun = block_after(head), time.monotonic()
                self._log.append(block)
                self.longest_s = max(self.longest_s, time.monotonic() - begun)
                self.acknowledged.append(block)
                head = after(block)
        except BaseException as failure:  # noqa: BLE001 - told to the test
            self.failure = failure

    def more(self, blocks: int = 20) -> None:
        """Wait until so many more were acknowledged."""
        wanted = len(self.acknowledged) + blocks
        eventually(lambda: len(self.acknowledged) >= wanted or self.failure is not None)

    def end(self) -> list[Block]:
        self._stop_it.set()
        self.join(PATIENCE_S)
        assert self.failure is None, repr(self.failure)
        return self.acknowledged


def test_kill_9_of_the_server_loses_nothing_and_the_writer_goes_on(own_stack: OwnStack) -> None:
    """It is away for less than the writer's patience: a pause, not a failure."""
    stack = own_stack(kafka=False)
    with closing(PostgresLog(stack.postgres_dsn(), patience_s=PATIENCE_S)) as log:
        trader = Trader(log)
        trader.start()
        for _ in range(3):
            trader.more()
            stack.postgres.kill(signal.SIGKILL)
            stack.postgres.start()
        trader.more()
        acknowledged = trader.end()
        assert list(log.read(1)) == acknowledged


def test_an_acknowledged_block_survives_the_loss_of_the_primary(own_stack: OwnStack) -> None:
    """With a synchronous standby: it has every block that was acknowledged, and the writer goes on there by itself."""
    stack = own_stack(kafka=False, standby=True, synchronous=True)
    with closing(PostgresLog(stack.postgres_dsn(), patience_s=PATIENCE_S)) as log:
        assert log.durability == "postgres fsync + standby on"
        trader = Trader(log)
        trader.start()
        trader.more()
        stack.postgres.kill(signal.SIGKILL)
        stack.promote()
        trader.more()
        acknowledged = trader.end()
        assert list(log.read(1)) == acknowledged
        assert log.durability == "postgres fsync"  # it is alone now, and says so


class Hasty(PostgresLog):
    """Negative control: takes a block that it can see for one that the standby has."""

    def _wait_for_standby(self, session: Session, block: Block) -> None:
        pass


def waiting_for_the_standby(log: PostgresLog, block: Block, stack: Stack, end_it: str) -> Future[None]:
    """An append of *block* while the standby is away, whose wait somebody at the primary has ended."""
    appending = ThreadPoolExecutor(1).submit(log.append, block)
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'outcry_writer'"
    with stack.postgres.superuser() as superuser:
        eventually(lambda: superuser.execute(waits.encode()).fetchone() is not None)
        assert superuser.execute(f"SELECT {end_it}(pid) FROM ({waits}) AS waiting".encode()).fetchone() == (True,)
    return appending


def has(block: Block, stack: Stack) -> bool:
    """Whether the standby has it."""
    with closing(PostgresLog(stack.standby_dsn())) as log:
        return block in log.read(1)


def test_a_wait_for_the_standby_that_is_ended_early_is_taken_up_again(own_stack: OwnStack) -> None:
    """PostgreSQL then says that all is well, with a warning; but the block is on one disk only, and would be lost with it."""
    stack = own_stack(kafka=False, standby=True, synchronous=True)
    standby = stack.servers["standby"]
    assert isinstance(standby, Postgres)
    with closing(PostgresLog(stack.postgres_dsn(), patience_s=PATIENCE_S)) as log:
        head = log.claim(1)
        for end_it in ("pg_cancel_backend", "pg_terminate_backend"):
            standby.kill(signal.SIGKILL)
            block = block_after(head)
            appending = waiting_for_the_standby(log, block, stack, end_it)
            time.sleep(A_WHILE_S)
            assert not appending.done(), "acknowledged, and on one disk only"
            standby.start()
            appending.result(PATIENCE_S)
            eventually(lambda block=block: has(block, stack))  # type: ignore[misc]  # which mypy cannot infer
            head = after(block)
    with closing(Hasty(stack.postgres_dsn(), patience_s=PATIENCE_S)) as hasty:
        standby.kill(signal.SIGKILL)
        waiting_for_the_standby(hasty, block_after(head), stack, "pg_terminate_backend").result(PATIENCE_S)
    standby.start()


def test_a_page_of_the_server_that_was_altered_is_damage(own_stack: OwnStack) -> None:
    """Its checksum says so before our hash is asked; the block is named either way."""
    stack = own_stack(kafka=False)
    with closing(PostgresLog(stack.postgres_dsn())) as log:
        log.append(seal(log.claim(1), *busy_rows(5_000), 2 * 10**18))
    with stack.postgres.superuser("outcry") as superuser:
        superuser.execute("CHECKPOINT")
        found = superuser.execute(
            "SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = 'outcry.blocks_1'::regclass"
        ).fetchone()
    assert found
    stack.postgres.stop()
    path = stack.postgres.data / found[0]
    content = bytearray(path.read_bytes())
    content[5_000] ^= 1
    path.write_bytes(content)
    stack.postgres.start()
    with (
        closing(PostgresLog(stack.postgres_dsn())) as log,
        pytest.raises(Damaged, match=r"partition 1, block 1: .*invalid page in block 0"),
    ):
        list(log.read(1))
