"""Alerts as a gateway has them: where rules are kept, and what fired."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from adapters.alerts.fired import Fired
from adapters.alerts.registered import Evaluation, RegisteredRules
from adapters.alerts.rules import Listed
from adapters.reads.feed import Feed
from adapters.registry.registry import Registry
from commands.writer import Writer
from eventstore.ports import BlockLog
from projections.alert_rules import BadRule, Rule


class Rules(Protocol):
    """Where rules are kept; see adapters/alerts/rules.py."""

    def add(self, partition: int, rule: Rule) -> Listed:
        """Put it in force. Raises BadRule."""

    def remove(self, partition: int, account: int, number: int) -> int:
        """Take it out of force; the block from which on it is. Raises BadRule."""

    def of(self, account: int) -> list[Listed]:
        """Those of an account that are in force."""


@dataclass(frozen=True)
class Alerting:
    """Alerts of one gateway. Methods of rules wait for a database.

    fired     by partition
    delivers  whether anybody posts and mails
    """

    rules: Rules
    fired: Mapping[int, Fired]
    delivers: bool
    begin: Callable[[int], None] = lambda _partition: None

    def add(self, partition: int, rule: Rule) -> Listed:
        """Put *rule* in force. Raises BadRule."""
        if not self.delivers and (rule.webhook or rule.email):
            raise BadRule("this venue posts and mails nothing, it tells at its doors alone; right would be neither webhook nor email")
        made = self.rules.add(partition, rule)
        self.begin(partition)
        return made


@contextmanager
def embedded(registry: Registry, log: BlockLog, writer: Writer, feed: Feed) -> Iterator[Alerting]:
    """Rules in the registry, evaluated in this process beside *writer*."""
    rules = RegisteredRules(registry, log)
    with closing(Evaluation(feed.partition, log, rules, busy=lambda: writer.waiting_commands > 0)) as evaluation:
        feed.watch(lambda change: evaluation.offer(change.block))
        yield Alerting(rules, {feed.partition: evaluation.fired}, delivers=False, begin=lambda _partition: evaluation.begin())
