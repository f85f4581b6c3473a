"""Delivers alerts from the stream to where their rules say, each at least once: it is acknowledged when it arrived, or is a dead letter.

A consumer group hands each alert to one deliverer; what one that died had in hand is taken over by another. Its name, the same each time,
tells receivers whether they had it. A Redis that lost its stream gets the same alerts again from who evaluates the rules; how far they
were delivered stands in the record's database, so they are not delivered again.

Bounds: IN_HAND alerts of a deliverer, PER_TARGET of them for the same receiver and AT_ONCE under way to it; beyond, they stay in the stream
and are looked at again after claim_idle_s. A receiver that could not be reached in TRIES tries is left alone for AWAY_S: what comes for it
meanwhile is a dead letter. DEAD_BOUND dead letters of a partition are kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

import cachetools
import msgspec
import redis
import tenacity

from adapters.alerts import mail, webhook
from adapters.alerts.follow import dead_key
from adapters.alerts.rules import AlertRules
from adapters.alerts.stream import Entry, entry, stream_key
from adapters.alerts.webhook import Refused, Undelivered
from adapters.alerts.words import in_words, sentence, shown
from adapters.announce import announced, name_of
from adapters.metrics import Metrics
from adapters.settings import BadSettings, Settings
from adapters.status import StatusServer
from eventstore.errors import StoreFailed
from projections.alert_rules import Rule

GROUP: Final = "deliver"
IN_HAND: Final = 1_024
PER_TARGET: Final = 256
AT_ONCE: Final = 4
READ_AT_ONCE: Final = 64
THREADS: Final = 64
TRIES: Final = 5
AWAY_S: Final = 60.0
DEAD_BOUND: Final = 10_000
BLOCK_MS: Final = 200
NOTE_S: Final = 1.0
CLAIM_IDLE_S: Final = 120.0  # longer than all tries take
KNOWN_RULES: Final = 10_000
KNOWN_S: Final = 60.0
_LOG: Final = logging.getLogger(__name__)
_NOT_THERE: Final = ("NOGROUP", "no such key")  # what Redis says before there is a stream, or after it was begun anew


@dataclass(frozen=True, slots=True)
class Pace:
    """How long it waits: before a second try (then twice as long each), and for what another had in hand."""

    first_wait_s: float = 1.0
    claim_idle_s: float = CLAIM_IDLE_S


@dataclass(slots=True)
class _Letter:
    """An alert in hand: to how many receivers it still goes, and what could not be delivered: receiver, why."""

    key: str
    alert: Entry
    rule: Rule
    open: int
    dead: list[tuple[str, str]] = field(default_factory=list)
    given_up: bool = False


@dataclass(slots=True)
class _Target:
    """What waits for a receiver, and how many threads deliver to it."""

    waiting: deque[_Letter] = field(default_factory=deque)
    under_way: int = 0
    away_until_s: float = 0.0


class _GivenUp(Exception):
    """It was told to stop while an alert waited for another try."""


class Deliverer:
    """Delivers the alerts of a cluster until it is told to stop."""

    def __init__(self, settings: Settings, client: redis.Redis, cluster: str, rules: AlertRules, pace: Pace | None = None) -> None:
        self._settings, self._client, self._cluster, self._rules, self._pace = settings, client, cluster, rules, pace or Pace()
        self._name = name_of(settings)
        self._keys = {stream_key(cluster, partition): partition for partition in range(1, settings.partitions + 1)}
        self._targets: dict[str, _Target] = {}
        self._known: cachetools.TTLCache[tuple[int, int], Rule | None] = cachetools.TTLCache(KNOWN_RULES, KNOWN_S)
        self._lock = threading.Lock()
        self._free = threading.Semaphore(IN_HAND)
        self._in_hand: set[tuple[str, str]] = set()
        self._delivered: dict[int, int] = {}
        self._stop = threading.Event()
        self._beat_s, self._trouble = time.monotonic(), ""

    def serve(self, stop: threading.Event) -> None:
        """Until *stop*; what waits for another try then is left to others. What is away is waited for."""
        self._stop = stop
        status = StatusServer(Metrics(self._name), self._settings.http_port, self.not_ready, lambda: self._beat_s)
        with closing(status), announced(self._settings.stack, self._name, status.port):
            _LOG.info("serving", extra={"port": status.port})
            self._serve(stop)
            _LOG.info("stopped")

    def not_ready(self) -> list[str]:
        """What it waits out; nothing when all is well. From any thread."""
        return [self._trouble] if self._trouble else []

    def _serve(self, stop: threading.Event) -> None:
        looked_s = noted_s = -CLAIM_IDLE_S
        with ThreadPoolExecutor(THREADS, thread_name_prefix="deliver") as pool:
            while not stop.is_set():
                try:
                    if time.monotonic() > noted_s + NOTE_S:
                        self._note()
                        noted_s = time.monotonic()
                    if time.monotonic() > looked_s + min(self._pace.claim_idle_s, 10.0):
                        self._take_over(pool)
                        looked_s = time.monotonic()
                    self._take(pool)
                    self._trouble = ""
                except (redis.RedisError, StoreFailed) as away:
                    if not self._made_groups(away):
                        self._trouble = f"deliveries wait: {away}"
                        _LOG.warning("%s", self._trouble)
                        stop.wait(NOTE_S)
                self._beat_s = time.monotonic()
        with suppress(redis.RedisError, StoreFailed):
            self._note()

    def _made_groups(self, failed: Exception) -> bool:
        """Make the groups when *failed* says that they are missing; whether they are there now."""
        if not isinstance(failed, redis.ResponseError) or not any(words in str(failed) for words in _NOT_THERE):
            return False
        for key in self._keys:
            try:
                self._client.xgroup_create(key, GROUP, id="0", mkstream=True)
            except redis.RedisError as there:
                if "BUSYGROUP" not in str(there):
                    return False
        return True

    def _take(self, pool: ThreadPoolExecutor) -> None:
        """What is new, as much as there is room for."""
        found = cast(
            "list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]",
            self._client.xreadgroup(GROUP, self._name, dict.fromkeys(self._keys, ">"), count=READ_AT_ONCE, block=BLOCK_MS),
        )
        for key, entries in found:
            for place, fields in entries:
                self._begin(pool, key.decode(), entry(place, fields))

    def _take_over(self, pool: ThreadPoolExecutor) -> None:
        """What others had in hand for too long, and what was put off."""
        for key in self._keys:
            place = b"0-0"
            for _ in range(IN_HAND // READ_AT_ONCE):
                idle_ms = int(1e3 * self._pace.claim_idle_s)
                claimed: Any = self._client.xautoclaim(key, GROUP, self._name, idle_ms, start_id=place, count=READ_AT_ONCE)
                place, found = claimed[0], claimed[1]
                for entry_id, fields in found:
                    self._begin(pool, key, entry(entry_id, fields))
                if place == b"0-0":
                    break

    def _begin(self, pool: ThreadPoolExecutor, key: str, alert: Entry) -> None:
        partition = self._keys[key]
        rule = self._rule(partition, alert.alert.rule)
        names = [name for name in (rule.webhook, rule.email) if name] if rule else []
        if not names or rule is None or alert.seq <= self._delivered_to(partition):
            self._client.xack(key, GROUP, alert.id)
            return
        with self._lock:
            targets = [self._targets.setdefault(name, _Target()) for name in names]
            if (key, alert.id) in self._in_hand or any(len(target.waiting) >= PER_TARGET for target in targets):
                return
            self._in_hand.add((key, alert.id))
        self._free.acquire()
        letter = _Letter(key, alert, rule, len(names))
        with self._lock:
            for name, target in zip(names, targets, strict=True):
                target.waiting.append(letter)
                if target.under_way < AT_ONCE:
                    target.under_way += 1
                    pool.submit(self._drain, name, target)

    def _drain(self, name: str, target: _Target) -> None:
        """Deliver what waits for a receiver."""
        while True:
            with self._lock:
                if not target.waiting:
                    target.under_way -= 1
                    if not target.under_way and target.away_until_s < time.monotonic():
                        self._targets.pop(name, None)
                    return
                letter = target.waiting.popleft()
            try:
                why = self._deliver(letter, name, target)
            except _GivenUp:
                letter.given_up, why = True, ""
            except Exception as ours:  # noqa: BLE001 - one alert must not end the delivery of others
                _LOG.exception("alert %s", letter.alert.name)
                why = f"our mistake: {type(ours).__name__}: {ours}"
            with self._lock:
                letter.open -= 1
                letter.dead += [(name, why)] if why else []
                done = not letter.open
            if done:
                self._acknowledge(letter)

    def _acknowledge(self, letter: _Letter) -> None:
        key, alert = letter.key, letter.alert
        try:
            if not letter.given_up:
                with self._client.pipeline(transaction=True) as both:
                    for name, why in letter.dead:
                        channel = "webhook" if name == letter.rule.webhook else "email"
                        fields = {"name": alert.name, "channel": channel, "to": name, "why": why}
                        both.xadd(dead_key(self._cluster, self._keys[key]), cast("Any", fields), maxlen=DEAD_BOUND)
                    both.xack(key, GROUP, alert.id)
                    both.execute()
        except redis.RedisError as away:
            _LOG.warning("alert %s is delivered and not acknowledged: it will be delivered again: %s", alert.name, away)
        with self._lock:
            self._in_hand.discard((key, alert.id))
        self._free.release()

    def _deliver(self, letter: _Letter, name: str, target: _Target) -> str:
        """Why it is a dead letter; empty: it has arrived. Raises _GivenUp when told to stop before it has."""
        if target.away_until_s > time.monotonic():
            return "its receiver could not be reached a moment ago"
        again = tenacity.Retrying(
            stop=tenacity.stop_any(tenacity.stop_after_attempt(TRIES), tenacity.stop_when_event_set(self._stop)),
            wait=tenacity.wait_exponential_jitter(multiplier=self._pace.first_wait_s, max=30, jitter=self._pace.first_wait_s),
            sleep=tenacity.sleep_using_event(self._stop),
            retry=tenacity.retry_if_exception_type(Undelivered),
            reraise=True,
        )
        try:
            again(self._sender(self._keys[letter.key], letter.alert, letter.rule, name))
        except Undelivered as failed:
            if self._stop.is_set():
                raise _GivenUp from None
            target.away_until_s = time.monotonic() + AWAY_S
            _LOG.warning("alert %s: %d tries: %s", letter.alert.name, TRIES, failed)
            return f"{TRIES} tries: {failed}"
        except (Refused, BadSettings) as refused:
            _LOG.warning("alert %s: %s", letter.alert.name, refused)
            return str(refused)
        return ""

    def _sender(self, partition: int, alert: Entry, rule: Rule, target: str) -> Callable[[], None]:
        said = in_words(partition, alert, rule)
        body = msgspec.json.encode(said)
        if target == rule.webhook:
            key = webhook.account_key(self._settings, rule.account)
            return lambda: webhook.post(target, body, said["name"], key, anywhere=self._settings.webhooks_anywhere)
        subject = f"{sentence(rule)}: {shown(alert.alert.value, rule)}"[:200]
        text = "\n".join([subject, *filter(None, [rule.text]), "", msgspec.json.format(body, indent=2).decode()])
        return lambda: mail.send(self._settings, target, subject, text, said["name"])

    def _rule(self, partition: int, number: int) -> Rule | None:
        if (partition, number) not in self._known:
            self._known[partition, number] = self._rules.rule(partition, number)
        return self._known[partition, number]

    def _delivered_to(self, partition: int) -> int:
        if partition not in self._delivered:
            self._delivered[partition] = self._rules.delivered(partition)
        return self._delivered[partition]

    def _note(self) -> None:
        """Write down before which block all is delivered, whoever did it: nobody has any of it in hand, and nothing of it is new."""
        for key, partition in self._keys.items():
            groups: list[dict[str, Any]] = self._client.xinfo_groups(key)
            group = next((each for each in groups if each["name"] == GROUP.encode()), None)
            if group is None:
                raise redis.ResponseError(_NOT_THERE[0])
            pending: dict[str, Any] = self._client.xpending(key, GROUP)
            first = pending["min"] or cast("bytes", group["last-delivered-id"])
            done = int(first.partition(b"-")[0]) - 1
            if done > self._delivered_to(partition):
                self._rules.note_delivered(partition, done)
                self._delivered[partition] = done
