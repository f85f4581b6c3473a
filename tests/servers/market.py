"""A market on the shared servers: a database and topics of its own, workers as processes, a client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from adapters import settings
from adapters.kafka_client import CommandsTopic, Outcomes
from adapters.settings import Settings
from adapters.stack.stack import Stack
from commands import batch
from commands.outcomes import Outcome
from eventstore import topics
from eventstore.kafka import BlocksTopic
from eventstore.postgres import PostgresLog
from tests.market import with_word
from tests.servers.fixtures import Database
from tests.waiting import PATIENCE_S, Late, eventually

OUTCRY = Path(sys.executable).parent / "outcry"


@dataclass
class Worker:
    """`outcry serve` as a process of a test."""

    name: str
    process: subprocess.Popen[bytes]
    folder: Path

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of its HTTP port."""
        port = json.loads((self.folder / "workers" / f"{self.name}.json").read_text())["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def owns(self, partition: int) -> bool:
        """Whether its metrics say so."""
        return f'outcry_role{{partition="{partition}",role="owner"}} 1.0' in self.get("/metrics")[1]

    def log(self) -> list[dict[str, object]]:
        """What it wrote to stderr."""
        return [json.loads(line) for line in (self.folder / f"{self.name}.log").read_text().splitlines() if line.startswith("{")]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@dataclass
class StackMarket:
    """environment: with which every `outcry` of this market is called."""

    environment: dict[str, str]
    folder: Path
    workers: dict[str, Worker] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return settings.load(self.environment)

    def outcry(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command line to its end."""
        words = [str(OUTCRY), *map(str, arguments)]
        return subprocess.run(words, env=os.environ | self.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def serve(self, name: str) -> Worker:
        """Start a worker and wait until it owns or follows every partition."""
        with (self.folder / f"{name}.log").open("wb") as log:
            environment = os.environ | self.environment | {"OUTCRY_WORKER": name}
            process = subprocess.Popen([OUTCRY, "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=log)
        worker = self.workers[name] = Worker(name, process, self.folder)
        announced = self.folder / "workers" / f"{name}.json"
        eventually(lambda: process.poll() is not None or (announced.exists() and worker.get("/ready")[0] == 200))
        assert process.poll() is None, (self.folder / f"{name}.log").read_text()
        return worker

    def owner(self, partition: int = 1) -> Worker:
        """The worker that owns the partition, once one does."""

        def owner() -> Worker | None:
            return next((worker for worker in self.workers.values() if worker.process.poll() is None and worker.owns(partition)), None)

        return eventually(owner, lambda: f"nobody owns partition {partition}; {self.logs()}")

    def logs(self) -> str:
        """What its workers wrote."""
        return "\n".join(f"{name}:\n{(self.folder / f'{name}.log').read_text()}" for name in self.workers)

    def record(self) -> PostgresLog:
        """The record; close it."""
        return PostgresLog(self.settings.postgres)

    def blocks_topic(self) -> BlocksTopic:
        return BlocksTopic(self.settings.kafka, "", self.settings.topic_prefix + topics.BLOCKS)

    def close(self) -> None:
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()


@dataclass
class Client:
    """Sends commands to one partition and learns what became of them."""

    market: StackMarket
    sender: CommandsTopic
    outcomes: Outcomes
    partition: int
    session: int = 7
    sequence: int = 0

    def ask(self, row: bytes, *, session: int | None = None, sequence: int | None = None) -> Outcome:
        """Send one row (whose session and sequence are replaced) and wait for its outcome."""
        if sequence is None:
            self.sequence = sequence = self.sequence + 1
        named = session or self.session
        answer = self.outcomes.expect(session=named, sequence=sequence)
        self.sender.send(self.partition, batch.encode(with_word(with_word(row, 2, named), 3, sequence)))
        try:
            return answer.result(PATIENCE_S)
        except TimeoutError:
            raise Late(f"partition {self.partition} has not answered {sequence}; {self.market.logs()}") from None


def begin(stack: Stack, database: Database, prefix: str, folder: Path, partitions: int = 1, **given: str) -> StackMarket:
    """A market without workers."""
    environment = {
        "OUTCRY_PROFILE": "stack",
        "OUTCRY_STACK": str(folder),
        "OUTCRY_POSTGRES": database.dsn(),
        "OUTCRY_KAFKA": stack.kafka_bootstrap,
        "OUTCRY_TOPIC_PREFIX": prefix,
        "OUTCRY_PARTITIONS": str(partitions),
        **given,
    }
    topics.create(stack.kafka_bootstrap, topics.wanted(partitions, prefix=prefix))
    return StackMarket(environment, folder)
