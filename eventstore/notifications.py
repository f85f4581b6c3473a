"""The chain of a partition as a notification log of the `eventsourcing` library: selecting, following, and our errors in its words."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, RLock
from typing import Final

from eventsourcing.persistence import (
    ApplicationRecorder,
    DataError,
    IntegrityError,
    Notification,
    OperationalError,
    Subscription,
)

from eventstore.blocks import Block
from eventstore.ports import BlockLog, Damaged, Fenced, NewerSchema, OutcomeUnknown, StoreFailed

POLL_SECONDS: Final = 0.02  # another process's blocks are seen this late; our own inserts wake at once
PULL_NOTIFICATIONS: Final = 64  # in memory per subscription


@contextmanager
def in_the_words_of_the_library() -> Iterator[None]:
    """Our errors as the library's: IntegrityError, somebody else wrote; OperationalError, try again; DataError, the record is wrong."""
    try:
        yield
    except Fenced as error:
        raise IntegrityError(str(error)) from error
    except (OutcomeUnknown, StoreFailed) as error:
        raise OperationalError(str(error)) from error
    except (Damaged, NewerSchema) as error:
        raise DataError(str(error)) from error


class ChainRecorder(ApplicationRecorder):
    """What our recorders share: one partition of *log*, its notification log, and who waits for it."""

    def __init__(self, log: BlockLog, partition: int) -> None:
        self._log, self._partition = log, partition
        self._lock = RLock()
        self.listeners: set[Event] = set()

    @abstractmethod
    def notifications(self, from_id: int) -> Iterator[Notification]:
        """Those of *from_id* (from 1) and later: ascending, without gaps."""

    @in_the_words_of_the_library()
    def select_notifications(
        self, start: int | None, limit: int, stop: int | None = None, topics: Sequence[str] = (), *, inclusive_of_start: bool = True
    ) -> Sequence[Notification]:
        """See ApplicationRecorder."""
        first = 1 if start is None else start if inclusive_of_start else start + 1
        found: list[Notification] = []
        for notification in self.notifications(max(first, 1)):
            if stop is not None and notification.id > stop:
                break
            if not topics or notification.topic in topics:
                found.append(notification)
                if len(found) == limit:
                    break
        return found

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """See ApplicationRecorder."""
        return Following(self, gt, topics)

    @in_the_words_of_the_library()
    def _append(self, block: Block) -> None:
        self._log.append(block)
        for listener in tuple(self.listeners):
            listener.set()

    def _block(self, seq: int) -> Block:
        return next(iter(self._log.read(self._partition, seq - 1)))


class Following(Subscription[ChainRecorder]):
    """Notifications as they come: woken by the recorder's own inserts, and looking every POLL_SECONDS for those of other writers."""

    def __init__(self, recorder: ChainRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._seen = gt or 0
        self._pulled: deque[Notification] = deque()
        self._wake = Event()
        recorder.listeners.add(self._wake)

    def stop(self) -> None:
        """End the iteration, also one that waits in another thread."""
        super().stop()
        self._recorder.listeners.discard(self._wake)
        self._wake.set()

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            if self._pulled:
                return self._pulled.popleft()
            self._wake.clear()
            newest = self._recorder.max_notification_id() or 0
            if newest < self._seen:
                raise DataError(f"position {self._seen} is beyond the end of the record ({newest}): it was replaced by a shorter one")
            if newest > self._seen:
                self._pull(newest)
            elif not self._has_been_stopped:
                self._wake.wait(POLL_SECONDS)
        raise StopIteration

    def _pull(self, newest: int) -> None:
        self._pulled.extend(self._recorder.select_notifications(self._seen + 1, PULL_NOTIFICATIONS, newest, self._topics))
        self._seen = self._pulled[-1].id if len(self._pulled) == PULL_NOTIFICATIONS else newest
