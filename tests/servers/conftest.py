"""Markets on the shared servers, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from adapters.kafka_client import CommandsTopic, Outcomes
from adapters.stack.stack import Stack
from tests.servers.fixtures import Database
from tests.servers.market import Client, StackMarket, begin


@pytest.fixture
def market(full_stack: Stack, database: Database, topic_prefix: str, tmp_path: Path) -> Iterator[StackMarket]:
    """A market of one partition, without workers."""
    with closing(begin(full_stack, database, topic_prefix, tmp_path)) as made:
        yield made


@pytest.fixture
def two_partitions(full_stack: Stack, database: Database, topic_prefix: str, tmp_path: Path) -> Iterator[StackMarket]:
    """A market of two partitions, ACME in the first and ZETA in the second."""
    with closing(begin(full_stack, database, topic_prefix, tmp_path, 2, OUTCRY_INSTRUMENTS="ACME=1,ZETA=2")) as made:
        yield made


@pytest.fixture
def clients() -> Iterator[Callable[..., Client]]:
    """Makes clients of a market and a partition of it."""
    with ExitStack() as opened:

        def make(market: StackMarket, partition: int = 1) -> Client:
            sender = opened.enter_context(closing(CommandsTopic(market.settings.kafka, prefix=market.settings.topic_prefix)))
            outcomes = opened.enter_context(closing(Outcomes(market.blocks_topic(), partition)))
            return Client(market, sender, outcomes, partition)

        yield make
