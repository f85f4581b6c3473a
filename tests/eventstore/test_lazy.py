"""A block of which only some words are decoded: they are those of a whole decoding, whatever is asked for first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import EVENT_WORDS, FIRST_CONSEQUENCE
from domain.verbs import COMMAND_WORDS, SCHEMA_VERSION
from eventstore import codec, upcast
from eventstore.arrow import SCHEMA, to_arrow
from eventstore.blocks import Block, genesis
from eventstore.codec import BadPayload
from eventstore.lazy import Opened, Payload, Whole
from eventstore.ports import Damaged, NewerSchema
from tests.eventstore.rows import Said, block_of, said, trade_block

stories = st.lists(said(), min_size=1, max_size=12)


def check(opened: Opened, block: Block, order: list[int]) -> None:
    """Every word of every row, asked for in that *order*."""
    rows = block.arrays()
    kinds = (rows.events[:, 0] & 255).tolist()
    asked = [(None, word) for word in range(COMMAND_WORDS)] + [(kind, word) for kind in sorted(set(kinds)) for word in range(EVENT_WORDS)]
    for at in order:
        kind, word = asked[at % len(asked)]
        if kind is None:
            assert opened.command(word).tolist() == rows.commands[:, word].tolist()
        else:
            assert opened.event(kind, word).tolist() == rows.events[opened.rows(kind), word].tolist()
    assert opened.kinds.tolist() == kinds
    outcomes = [at for at, kind in enumerate(kinds) if kind < FIRST_CONSEQUENCE]
    assert opened.outcomes.tolist() == outcomes
    assert opened.cause.tolist() == [sum(outcome <= at for outcome in outcomes) - 1 for at in range(len(kinds))]


@given(stories, st.lists(st.integers(0, 10_000), max_size=40))
def test_a_word_is_the_same_alone_and_among_all(story: list[Said], order: list[int]) -> None:
    """Columns refer to others: asking for one first must decode those, too."""
    block = block_of(genesis(1), *story)
    check(Payload(block.payload), block, order)
    check(Whole(block.arrays()), block, order)


@given(stories, st.lists(st.sampled_from(SCHEMA.names), min_size=1, max_size=6, unique=True))
def test_chosen_columns_are_those_of_the_whole_table(story: list[Said], names: list[str]) -> None:
    block = block_of(genesis(1), *story)
    assert to_arrow(block, 5, names).equals(to_arrow(block, 5).select(names))


def test_a_kind_that_a_block_does_not_have_has_no_rows() -> None:
    assert Payload(trade_block(genesis(1), 1, 5).payload).event(35, 1).tolist() == []


def test_a_payload_that_ends_early_is_refused_before_anything_is_read_from_it() -> None:
    body = codec.unpack(trade_block(genesis(1), 1, 5).payload)
    with pytest.raises(BadPayload, match="1 bytes follow the last column"):
        Payload(codec.pack(body + b"\0"))
    for end in range(len(body)):
        with pytest.raises(BadPayload):
            Payload(codec.pack(body[:end]))


def test_a_block_that_says_other_counts_than_its_payload_is_damaged() -> None:
    block = trade_block(genesis(1), 1, 5)
    with pytest.raises(Damaged, match="payload holds 2 commands and 4 events, not 2 and 5"):
        replace(block, event_count=5).opened()


def test_a_block_of_an_older_schema_opens_through_its_upcast_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(upcast.STEPS, 0, lambda rows: rows)
    block = replace(trade_block(genesis(1), 1, 5), schema_version=0)
    assert isinstance(block.opened(), Whole)
    check(block.opened(), block, list(range(100)))


def test_a_block_of_a_newer_schema_is_not_opened() -> None:
    with pytest.raises(NewerSchema):
        replace(trade_block(genesis(1), 1, 5), schema_version=SCHEMA_VERSION + 1).opened()
