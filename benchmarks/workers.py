"""Workers of a stack as a benchmark needs them: `outcry serve` in processes of their own, asked and killed from here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.servers import Begun, Servers
from eventstore.kafka import BlocksTopic
from eventstore.topics import BLOCKS

READY_S: Final = 120.0
LOOK_S: Final = 0.02
_OUTCRY: Final = ("-c", "from adapters.cli.app import main; main()")


class Worker:
    """A process that serves. *command*: of `outcry`; *cores*: those it may use, None: all."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], command: Sequence[str], cores: set[int] | None) -> None:
        self.name = name
        self._announced, self.log = folder / "workers" / f"{name}.json", folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, *_OUTCRY, *command],
                env=environment | {"OUTCRY_WORKER": name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if cores is not None:
            os.sched_setaffinity(self.process.pid, cores)  # its threads are not there yet and inherit it

    def role(self, partition: int) -> str:
        """What it is to *partition*: owner, standby or none; empty while it does not answer."""
        roles = self.metrics("outcry_role")
        return next((labels["role"] for labels, value in roles if labels["partition"] == str(partition) and value), "")

    def metrics(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series called *name*; none while it does not answer."""
        with suppress(OSError, msgspec.DecodeError):
            text = self._get("metrics")
            families = [family for family in text_string_to_metric_families(text) if family.name == name]
            return [(sample.labels, sample.value) for family in families for sample in family.samples]
        return []

    def is_ready(self) -> bool:
        """Whether it says so."""
        with suppress(OSError, msgspec.DecodeError):
            return bool(self._get("ready"))
        return False

    def _get(self, page: str) -> str:
        port = msgspec.json.decode(self._announced.read_bytes())["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=2) as answer:
            return str(answer.read().decode())

    def end(self, how: signal.Signals) -> None:
        """Signal it. After SIGKILL it is gone when this returns."""
        self.process.send_signal(how)
        if how == signal.SIGKILL:
            self.process.wait()


@dataclass(frozen=True, slots=True)
class Place:
    """Where workers serve: a record in *dsn*, topics that begin with *prefix*."""

    on: Servers
    dsn: str
    cluster: str
    prefix: str
    partitions: int
    folder: Path
    workers: list[Worker] = field(default_factory=list)

    @property
    def topic(self) -> BlocksTopic:
        """The blocks."""
        return BlocksTopic(self.on.stack.kafka_bootstrap, self.cluster, self.prefix + BLOCKS)

    def start(self, cores: set[int] | None = None, command: Sequence[str] = ("serve",)) -> Worker:
        """One more worker: `outcry` with *command*."""
        ours = {
            "PROFILE": "stack",
            "STACK": str(self.folder),
            "POSTGRES": self.dsn,
            "KAFKA": self.on.stack.kafka_bootstrap,
            "CLUSTER": self.cluster,
            "PARTITIONS": str(self.partitions),
            "TOPIC_PREFIX": self.prefix,
            **({"REDIS": self.on.stack.redis_url} if self.on.stack.shape.redis else {}),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OUTCRY_")}
        environment = inherited | {"XDG_CONFIG_HOME": str(self.folder)} | {f"OUTCRY_{name}": value for name, value in ours.items()}
        self.workers.append(Worker(f"worker-{len(self.workers) + 1}", self.folder, environment, command, cores))
        return self.workers[-1]

    def owner(self, partition: int) -> Worker | None:
        """Who says that it owns *partition*, of those that live."""
        return next((each for each in self.workers if each.process.poll() is None and each.role(partition) == "owner"), None)

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Until that is so. Raises RuntimeError with a worker's last words when one ended by itself, TimeoutError."""
        deadline = time.monotonic() + READY_S
        while not until():
            for worker in self.workers:
                if worker.process.poll() not in (None, 0, -signal.SIGKILL):
                    raise RuntimeError(f"{worker.name} ended with code {worker.process.returncode}: {_last_line(worker.log)}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {READY_S:.0f} s still not: {what}; {'; '.join(_last_line(each.log) for each in self.workers)}")
            time.sleep(LOOK_S)

    def processes(self) -> list[tuple[str, int]]:
        """Name and number of each server, and of the workers that live."""
        return [*self.on.processes(), *(("workers", each.process.pid) for each in self.workers if each.process.poll() is None)]


@contextmanager
def place(market: Begun, on: Servers, partitions: int = 1) -> Iterator[Place]:
    """A copy of *market* and empty topics, and no worker yet; all of it gone afterwards."""
    with market.record() as dsn, on.topics(partitions) as prefix, tempfile.TemporaryDirectory(prefix="outcry-bench-workers-") as folder:
        made = Place(on, dsn, market.cluster, prefix, partitions, Path(folder))
        try:
            yield made
        finally:
            for worker in made.workers:
                if worker.process.poll() is None:
                    worker.end(signal.SIGKILL)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else f"{log.stem} said nothing"
