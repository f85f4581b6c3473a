"""What a worker of views does about an error of the brokers: wait, or end and say why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.errors import (  # type: ignore[import-untyped]
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    KafkaError,
    UnknownError,
)

from eventstore.errors import StoreFailed
from projections import faust_app
from projections.faust_app import Following, Source

SOURCE = Source("127.0.0.1:1", "blocks", "a cluster", "a group", range(1, 2))


class Told(Following):
    """A member whose brokers answer so, once; then all is well."""

    def __init__(self, answer: KafkaError) -> None:
        super().__init__(SOURCE, lambda partition: pytest.fail(f"nobody gives it partition {partition}"))
        self._answers, self.troubles = [answer], list[str]()

    async def _away(self) -> None:
        return None

    async def _follow(self, _goes_on: Callable[[], bool]) -> None:
        self.troubles.append(self.trouble)
        if self._answers:
            raise self._answers.pop()


@pytest.mark.parametrize("answer", [CoordinatorNotAvailableError(), UnknownError()], ids=["no coordinator", "they do not know why"])
def test_what_may_pass_is_waited_for(answer: KafkaError, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faust_app, "AGAIN_S", 0.0)
    told = Told(answer)
    asyncio.run(told.run(lambda: True))
    before, after = told.troubles
    assert not before
    assert type(answer).__name__ in after


def test_what_does_not_pass_ends_it() -> None:
    with pytest.raises(StoreFailed, match="GroupAuthorizationFailed"):
        asyncio.run(Told(GroupAuthorizationFailedError()).run(lambda: True))
