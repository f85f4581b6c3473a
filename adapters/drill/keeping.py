"""The views of a drill's market: the workers that keep them, in a Redis or in an OpenSearch, and a reader who watches them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
import msgspec
import redis

from adapters.drill.audit_watch import AUDIT, AuditWatcher
from adapters.drill.shown import VIEWS
from adapters.drill.watch import Watcher
from adapters.drill.workers import PRODUCT, Worker, environment_of
from adapters.scrape import announced, scrape
from adapters.stack.errors import StackFailed
from adapters.stack.server import Server
from adapters.stack.stack import Stack
from eventstore.topics import BLOCKS

POLL_S: Final = 0.05
CROWDED: Final = 10


class Keeping:
    """Workers of views in *folder* and a watcher; the views lie in the Redis of *stack*, or the audit index in its OpenSearch.

    settings  of the workers
    sabotage  how they are altered
    """

    def __init__(
        self, stack: Stack, folder: Path, settings: Mapping[str, object], partition: int, dice: Random, sabotage: Sequence[str]
    ) -> None:
        self.stack, self.sabotage = stack, tuple(sabotage)
        self.workers: list[Worker] = []
        self._folder, self._partition, self._started = folder, partition, 0
        cluster = str(settings["cluster"])
        self.watcher: Watcher | AuditWatcher
        self._views: Sequence[str]
        if stack.shape.opensearch:
            self.url, self._views = stack.opensearch_url, (AUDIT,)
            self.watcher = AuditWatcher(self.url, cluster, partition)
        else:
            self.url, self._views = stack.redis_url, VIEWS
            self.watcher = Watcher(self.url, cluster, partition, dice)
        self.settings = dict(settings) | {self.server.name: self.url}

    @property
    def server(self) -> Server:
        """Where the views lie."""
        return self.stack.servers["opensearch" if self.stack.shape.opensearch else "redis"]

    @property
    def redis_watcher(self) -> Watcher:
        """Who watches a Redis."""
        assert isinstance(self.watcher, Watcher), "the views lie in Redis"
        return self.watcher

    @property
    def topic(self) -> str:
        """Where the workers find blocks."""
        return f"{self.settings.get('topic_prefix', '')}{BLOCKS}"

    def start(self, count: int) -> list[Worker]:
        """So many more workers. Raises StackFailed."""
        command, started = ("worker", "views", "--views", ",".join(self._views)), []
        for _ in range(count):
            self._started += 1
            started.append(Worker(f"views-{self._started}", self._folder, self.settings, self.sabotage, {}, command))
        self.workers += started
        for each in started:
            each.wait_serving()
        return started

    def keeper(self, within_s: float = 60.0) -> Worker:
        """The worker that keeps the partition, as its metrics say. Raises StackFailed when there is none."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            living = {each.name: each for each in self.workers if each.alive}
            places = [place for place in announced(self._folder) if place.worker in living]
            for place, seen in zip(places, scrape(places), strict=True):
                if any(labels["partition"] == str(self._partition) for labels, _ in seen.of("outcry_view_seq")):
                    return living[place.worker]
            time.sleep(POLL_S)
        raise StackFailed(f"no worker keeps the views within {within_s:g} s; the logs are in {self._folder}")

    def kill(self, worker: Worker) -> None:
        """SIGKILL, and out of the list."""
        worker.signal(signal.SIGKILL)
        self.workers.remove(worker)

    def stop(self, worker: Worker) -> None:
        """As an operator would, and out of the list. Raises StackFailed when it does not end, or not well."""
        self.workers.remove(worker)
        worker.stop()

    def wait(self, holds: Callable[[Mapping[str, int]], bool], within_s: float) -> bool:
        """Wait until the positions of the views are so; False when they are not in time."""
        end = time.monotonic() + within_s
        while not holds(self.watcher.positions()):
            if time.monotonic() > end:
                return False
            time.sleep(POLL_S)
        return True

    def wait_moved(self, within_s: float) -> bool:
        """Wait until every view shows a block that it does not show now; False when one does not in time."""
        before = self.watcher.positions()
        return self.wait(lambda now: bool(now) and all(now[view] > before.get(view, 0) for view in self._views), within_s)

    def shown(self) -> list[dict[str, Any]]:
        """What `outcry views` says of each view."""
        ran = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", PRODUCT, "views", "--json"], env=environment_of(self.settings), capture_output=True, check=False
        )
        return list(msgspec.json.decode(ran.stdout)["views"])

    def end(self, head: int, patience_s: float) -> list[str]:
        """Wait until all views show block *head*, the last, unless they stand still for *patience_s*; stop the workers and the watcher.

        What was not as it should be. Views that are late are waited for, CROWDED times as long at most.
        """
        trouble, shown, before = [], self.watcher.positions(), None
        end = time.monotonic() + CROWDED * patience_s
        while shown != before and time.monotonic() < end:
            if self.wait(lambda now: bool(now) and all(seq == head for seq in now.values()), patience_s):
                break
            before, shown = shown, self.watcher.positions()
        else:
            trouble.append(f"views: as of {shown} {patience_s:g} s or more after the last block, which is {head}")
        for worker in list(self.workers):
            try:
                self.stop(worker)
            except StackFailed as failed:
                trouble.append(f"views: {failed}")
        self.watcher.stop()
        try:
            self.watcher.read_all()
        except (redis.RedisError, httpx.HTTPError) as error:
            trouble.append(f"views: they cannot be read: {error}")
        return trouble

    def close(self) -> None:
        """Whatever still runs."""
        for worker in list(self.workers):
            self.kill(worker)
        self.watcher.stop()
