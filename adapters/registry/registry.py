"""The registry: acts are recorded as events of aggregates in partition 0, and whoever has the record open sees them.

Several processes may act side by side: the record decides which of two acts on one aggregate was first, the other is made again on what it
finds. All of it is kept in memory, so this is for what people register, not for a market: about 2 KB for each aggregate and 200 bytes for
each event.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import IntegrityError

from adapters.registry.aggregates import KINDS
from eventstore.consumers import ConsumerRecorder
from eventstore.ports import CONSUMER_PARTITION, BlockLog
from eventstore.recorders import Factory

TURNS: Final = 10
Kind = TypeVar("Kind", bound=Aggregate)


class Unregistered(KeyError):
    """Nothing of that name: kind, name, and what is there."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registered(ValueError):
    """That name is taken."""


class Act(NamedTuple):
    """Who does something, and why: it stands in the event."""

    actor: str
    reason: str


class Recorded(NamedTuple):
    """An event of an aggregate: its number in the registry from 1, and the aggregate as it is now."""

    number: int
    event: Any
    aggregate: Any


class _Application(Application[UUID]):
    name = "registry"

    def __init__(self, log: BlockLog) -> None:
        self._log = log
        super().__init__()

    def construct_factory(self, env: Any) -> Any:
        return _Factory(env, self._log)


class _Factory(Factory):
    def __init__(self, env: Any, log: BlockLog) -> None:
        super().__init__(env)
        self._record = log

    def application_recorder(self) -> ConsumerRecorder:  # type: ignore[override] # it is one, with positions besides
        return ConsumerRecorder(self._record, CONSUMER_PARTITION, shared=True)


class Registry:
    """The registry in *log*. May be used from many threads; a method that acts raises what the library does when the record fails.

    seen  the number of the last event that it has in memory
    """

    def __init__(self, log: BlockLog) -> None:
        self._application, self._log = _Application(log), log
        self._aggregates: dict[UUID, Any] = {}
        self._of_kind: dict[type, dict[UUID, int]] = {kind: {} for kind in KINDS}  # number of the event that registered it
        self._lock = threading.RLock()
        self._followed = 0  # block of the record
        self.seen = 0
        self.follow()

    def follow(self) -> list[Recorded]:
        """Take in what was recorded since; it is given back."""
        with self._lock:
            return list(self._follow())

    def _follow(self) -> Iterator[Recorded]:
        newest = self._log.head(CONSUMER_PARTITION).seq
        while self._followed < newest:
            found = self._application.recorder.select_notifications(self.seen + 1, 1_000)
            for notification in found:
                event: Any = self._application.mapper.to_domain_event(notification)
                aggregate = event.mutate(self._aggregates.get(event.originator_id))
                self._aggregates[event.originator_id] = aggregate
                self._of_kind[type(aggregate)].setdefault(event.originator_id, notification.id)
                self.seen = notification.id
                yield Recorded(notification.id, event, aggregate)
            if not found:
                self._followed = newest

    def recorded(self, after: int = 0) -> Iterator[Recorded]:
        """The events after number *after* up to the last one followed; the aggregates as they are now."""
        while after < self.seen:
            for notification in self._application.recorder.select_notifications(after + 1, 1_000, self.seen):
                event: Any = self._application.mapper.to_domain_event(notification)
                after = notification.id
                yield Recorded(after, event, self._aggregates[event.originator_id])

    def find(self, kind: type[Kind], name: str) -> Kind | None:
        """The aggregate of *kind* that is called so, as last followed."""
        return self._aggregates.get(kind.create_id(name))

    def get(self, kind: type[Kind], name: str) -> Kind:
        """As find. Raises Unregistered."""
        found = self.find(kind, name)
        if found is None:
            raise Unregistered(f"no {kind.__name__} {name!r} is registered; {len(self._of_kind[kind])} others are")
        return found

    def all(self, kind: type[Kind]) -> list[Kind]:
        """All of *kind*, in the order of their registration."""
        with self._lock:
            return [self._aggregates[each] for each in self._of_kind[kind]]

    def registered_at(self, aggregate: Aggregate) -> int:
        """Number of the event that registered it."""
        return self._of_kind[type(aggregate)][aggregate.id]

    def add(self, *made: Aggregate) -> None:
        """Record new aggregates, all or none. Raises Registered."""
        for each in made:
            if each.id in self._aggregates:
                raise Registered(f"there is a {type(each).__name__} of that name already; choose another")
        try:
            self._application.save(*made)
        except IntegrityError:
            self.follow()
            taken = [each for each in made if each.id in self._aggregates]
            if not taken:
                raise
            raise Registered(f"somebody else registered a {type(taken[0]).__name__} of that name meanwhile; choose another") from None
        self.follow()

    def change(self, kind: type[Kind], name: str, act: Callable[[Kind], object]) -> Kind:
        """Do *act* to what is called so, on what is on record by then: it may be called again when another was first.

        Raises Unregistered, and what *act* raises: nothing is recorded then.
        """
        for turn in range(TURNS):
            changed = deepcopy(self.get(kind, name))
            act(changed)
            try:
                self._application.save(changed)
            except IntegrityError:
                if turn == TURNS - 1:
                    raise
                self.follow()
            else:
                break
        self.follow()
        return self.get(kind, name)
