"""One drill's own market on running servers: a fresh database, fresh topics, workers, load, and in the end the oracle's verdict."""

from __future__ import annotations

import secrets
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg.conninfo import make_conninfo

from adapters.drill import intents, market, witness
from adapters.drill.ground import PARTITION, Ground
from adapters.drill.keeping import Keeping
from adapters.drill.load import Load
from adapters.drill.oracle import Oracle, Verdict
from adapters.drill.pace import Heard, Pace
from adapters.drill.proxy import Proxy
from adapters.drill.record import Found, published, recorded
from adapters.drill.workers import Worker
from adapters.stack.errors import StackFailed
from adapters.stack.loopback import HOST
from adapters.stack.postgres import MIGRATOR, WRITER
from eventstore import topics
from eventstore.errors import BadTopic, Disagree, StoreFailed
from eventstore.kafka import BlocksTopic
from eventstore.migrate import migrate


class Trading(Protocol):
    """The load of a drill."""

    heard: list[Heard]

    def wait_told(self, more: int, timeout_s: float) -> bool:
        """Wait until *more* outcomes are known than now; False when they are not in time."""

    def finish(self, timeout_s: float) -> None:
        """Begin nothing new; wait until every outcome is known, at most *timeout_s*."""


POLL_S: Final = 0.02
TOPICS_WITHIN_S: Final = 20.0
OPENS_WITHIN_S: Final = 60.0


class Arena:
    """Two workers and a load on *ground*; what they leave behind is in *folder*. Use it in a `with`.

    sabotage     how the workers are altered
    environment  of the workers beyond ours
    proxied      the workers reach PostgreSQL through `proxy`
    careless     servers are set to forget: the workers are told that this is meant
    keepers      how many workers keep views, where the ground has servers for them; views_sabotage: how those are altered

    load      who trades, once it has begun
    views     those workers, and the reader who watches them
    findings  what a fault saw that breaks a promise
    """

    def __init__(
        self,
        ground: Ground,
        folder: Path,
        dice: Random,
        *,
        rate: int,
        sabotage: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        proxied: bool = False,
        careless: bool = False,
        keepers: int = 1,
        views_sabotage: Sequence[str] = (),
    ) -> None:
        self.ground, self.folder, self.dice = ground, folder, dice
        self.sabotage, self.environment = tuple(sabotage), environment or {}
        self.database = f"drill_{secrets.token_hex(4)}"
        self.workers: list[Worker] = []
        self._rate, self._proxied, self._careless = rate, proxied, careless
        self._open = ExitStack()
        self._accounts = market.TRADERS
        self.load: Trading
        self._started = 0
        self._acknowledged_at_end = False
        self._keepers, self._views_sabotage = keepers, tuple(views_sabotage)
        self._views: Keeping | None = None
        self.proxy: Proxy | None = None
        self.cluster = ""
        self.findings: list[str] = []
        self.paces: dict[str, Pace] = {}

    @property
    def record(self) -> str:
        """How to connect to the record."""
        return self.ground.record.postgres_dsn(WRITER, self.database)

    @property
    def bootstrap(self) -> str:
        """The brokers."""
        return self.ground.bus.kafka_bootstrap

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            shutil.rmtree(self.folder, ignore_errors=True)  # what an earlier run left would be taken for this one's
            self.folder.mkdir(parents=True)
            self._prepare_record()
            _fresh_topics(self.bootstrap)
            if self._proxied:
                self.proxy = opening.enter_context(Proxy(HOST, self.ground.postgres.port))
            self.log = intents.IntentLog(self.folder / "intents.jsonl")
            opening.callback(self.log.close)
            opening.callback(self.kill_workers)
            if self.ground.views:
                self._views = Keeping(
                    self.ground.views, self.folder, self._settings(), PARTITION, Random(self.dice.random()), self._views_sabotage
                )
                opening.callback(self._views.close)
            self._open = opening.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()
        with suppress(StackFailed, psycopg.Error), self.ground.postgres.superuser() as db:
            db.execute(f"DROP DATABASE {self.database} WITH (FORCE)")

    # -- workers ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start two workers and those of views, open the market, and trade. Raises StackFailed, StoreFailed."""
        self.start_workers(2)
        if self._views:
            self._views.start(self._keepers)
        self._trade()
        if self._views and not self._views.wait(lambda now: bool(now) and all(now.values()), OPENS_WITHIN_S):
            raise StackFailed(f"views do not show anything within {OPENS_WITHIN_S:g} s; the logs are in {self.folder}")
        self.began_s = time.monotonic()

    def _trade(self) -> None:
        """Begin the load. Raises StoreFailed."""
        load = self.load = Load(self.bootstrap, self.cluster, PARTITION, self.log, self.dice, self._rate)
        load.start(market.opening(), OPENS_WITHIN_S)

    def start_workers(self, count: int) -> list[Worker]:
        """So many more, serving. Raises StackFailed."""
        settings, started = self._settings(), []
        for _ in range(count):
            self._started += 1
            started.append(Worker(f"worker-{self._started}", self.folder, settings, self.sabotage, self.environment))
        self.workers += started
        for each in started:
            each.wait_serving()
        return started

    @property
    def views(self) -> Keeping:
        """The workers of views."""
        assert self._views is not None, "the ground has servers for views"
        return self._views

    def _settings(self) -> dict[str, object]:
        """Of every worker."""
        return {
            "settings": self.folder / "settings.toml",
            "profile": "stack",
            "stack": self.folder,
            "kafka": self.bootstrap,
            "cluster": self.cluster,
            "partitions": PARTITION,
            "i_know_this_loses_data": "true" if self._careless else "false",
            "postgres": make_conninfo(self.record, port=self.proxy.port) if self.proxy else self.record,
        }

    def owner(self, timeout_s: float = 15.0, *, other_than: Worker | None = None) -> Worker:
        """The worker that took over last, of those that live. Raises StackFailed."""
        end = time.monotonic() + timeout_s
        while True:
            last = max((each for each in self.workers if each.alive), key=Worker.took_over, default=None)
            if last is not None and last.took_over() and last is not other_than:
                return last
            if time.monotonic() > end:
                raise StackFailed(f"nobody took the partition over within {timeout_s:g} s; the logs are in {self.folder}")
            time.sleep(POLL_S)

    def kill(self, worker: Worker) -> None:
        """SIGKILL, and out of the list."""
        worker.signal(signal.SIGKILL)
        self.workers.remove(worker)

    def afterwards(self, act: Callable[[], object]) -> None:
        """Have *act* done when the arena is left, so that the servers are again as they were."""
        self._open.callback(act)

    def kill_workers(self) -> None:
        """All of them."""
        for each in list(self.workers):
            self.kill(each)

    def pause(self, low_s: float, high_s: float) -> None:
        """Let time pass: as long as the dice say."""
        time.sleep(self.dice.uniform(low_s, high_s))

    # -- the end ------------------------------------------------------------------------------------------------------

    def end(self, timeout_s: float) -> Verdict:
        """Let every client hear its outcome, let the topic catch up, stop the workers; then ask the oracle. Raises StackFailed."""
        self.load.finish(timeout_s)
        self._wait_copied(timeout_s)
        trouble: list[str] = []
        for each in list(self.workers):
            self.workers.remove(each)
            try:
                each.stop()
            except StackFailed as failed:
                trouble.append(f"worker: {failed}")
        if self._views:
            trouble += self._views.end(recorded_head(self.record)[1], timeout_s)
        verdict = self._judged()
        verdict.trouble += trouble
        (self.folder / "verdict.log").write_text("".join(f"{each}\n" for each in (*verdict.findings, *verdict.trouble)))
        return verdict

    def _judged(self) -> Verdict:
        oracle = Oracle(PARTITION)
        try:
            blocks, head = recorded(self.record, PARTITION)
        except psycopg.Error as error:
            oracle.see_state([f"record: it cannot be read: {error}"])
            blocks, head = [], None
        oracle.see_record(blocks, head)
        (self.folder / "record.log").write_bytes(msgspec.msgpack.encode(blocks))
        try:
            oracle.see_topic(published(self.bootstrap, PARTITION), self.cluster)
        except KafkaException as error:
            oracle.see_state([f"topic: it cannot be read: {error}"])
        self._see_clients(oracle, blocks)
        oracle.see_state(self.findings)
        if self._views:
            oracle.verdict.rows_seen = len(self._views.watcher.seen)
            (self.folder / "seen.log").write_bytes(msgspec.msgpack.encode(self._views.watcher.seen))
            oracle.see_state(self._views.watcher.judge(blocks))
        oracle.verdict.paces = self.paces
        oracle.see_state(witness.testify(self.record, blocks, PARTITION, oracle.money, self._accounts))
        return oracle.verdict

    def _see_clients(self, oracle: Oracle, _blocks: Sequence[Found]) -> None:
        """Tell the oracle what clients wrote down."""
        oracle.see_clients(intents.read(self.log.path))

    def _wait_copied(self, timeout_s: float) -> None:
        """Until the topic ends where the record ends; whether it does is for the oracle to say."""
        end, topic = time.monotonic() + timeout_s, BlocksTopic(self.bootstrap, self.cluster, patience_s=2.0)
        while time.monotonic() < end:
            with suppress(psycopg.Error, StoreFailed, Disagree):
                tail, (_, head) = topic.tail(PARTITION), recorded_head(self.record)
                if head == (tail.seq if tail else 0):
                    return
            time.sleep(10 * POLL_S)

    def _prepare_record(self) -> None:
        (self.folder / "settings.toml").touch()
        self.ground.postgres.create_database(self.database)
        migrate(self.ground.record.postgres_dsn(MIGRATOR, self.database))
        with psycopg.connect(self.record) as db:
            (cluster,) = db.execute("SELECT id FROM outcry.cluster").fetchone() or ("",)
        self.cluster = str(cluster)


def recorded_head(conninfo: str) -> tuple[int, int]:
    """Epoch and number of the last block."""
    with psycopg.connect(conninfo) as db:
        row = db.execute("SELECT epoch, seq FROM outcry.head WHERE part = %s", (PARTITION,)).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def _fresh_topics(bootstrap: str) -> None:
    """The topics of a cluster, empty. Raises StackFailed."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    replicas = min(3, len(admin.list_topics(timeout=10).brokers))
    wanted = topics.wanted(PARTITION, replicas)
    names = {each.name for each in wanted}
    end = time.monotonic() + TOPICS_WITHIN_S
    while there := names & admin.list_topics(timeout=10).topics.keys():
        for done in admin.delete_topics(list(there)).values():
            with suppress(KafkaException):
                done.result()
        if time.monotonic() > end:
            raise StackFailed(f"kafka at {bootstrap} does not delete {', '.join(sorted(there))}")
        time.sleep(POLL_S)
    while True:
        with suppress(StoreFailed, BadTopic):
            topics.create(bootstrap, wanted)
            topics.check(bootstrap, wanted)
            return
        if time.monotonic() > end:
            raise StackFailed(f"kafka at {bootstrap} does not make new topics within {TOPICS_WITHIN_S:g} s")
        time.sleep(POLL_S)
