"""The engine against the reference model: after every command the same events, and every few the same state."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import events as e
from domain import verbs as v
from domain.rules import RULES
from tests.market import Event, raw
from tests.model.commands import commands, seeded
from tests.model.pair import Pair
from tests.model.small_market import SMALL
from tests.model.wide_market import WIDE

# What only a partition of millions, or an attacker of its hash tables, makes happen: tests/spec/test_bounds.py does, by name.
BEYOND_A_SMALL_MARKET = {
    "rule too_many_wallets",
    "rule crowded_id",
    "rule too_many_orders",
    "rule too_many_price_levels",
    "removed price_levels_full",
}
WILD_WORDS = st.one_of(st.just(0), st.just(0), st.integers(0, 9), st.integers(-(2**63), 2**63 - 1))


@given(st.lists(commands(SMALL), max_size=60))
@settings(max_examples=60)
def test_any_flow_has_the_events_and_the_state_that_the_rules_say(flow: list[bytes]) -> None:
    """Hypothesis shrinks a difference to the few commands that show it."""
    pair = Pair(SMALL)
    for count, command in enumerate(flow, 1):
        pair.step(command)
        if count % 8 == 0:
            pair.compare_states()
    pair.compare_states()


@given(st.lists(st.lists(commands(SMALL), min_size=1, max_size=20), max_size=5))
@settings(max_examples=20)
def test_a_batch_is_its_commands_one_after_the_other(batches: list[list[bytes]]) -> None:
    """The model knows no batches."""
    pair = Pair(SMALL)
    for batch in batches:
        pair.batch(batch)
        pair.compare_states()


def test_a_long_flow_agrees_and_makes_everything_happen_that_can() -> None:
    """20,000 commands from one seed; a verb, event, rule or reason that never occurred was never tested."""
    pair = Pair(SMALL)
    verbs: set[int] = set()
    seen: Counter[str] = Counter()
    for count, command in enumerate(seeded(1, 20_000, SMALL)):
        events = pair.step(command)
        verbs.add(command[0])
        seen.update(label for happened in events for label in labels(happened))
        if count % 50 == 0:
            pair.compare_states()
    assert set(v.VERB_BY_CODE) <= verbs
    missing = everything() - set(seen)
    assert not missing


@pytest.mark.parametrize("seed", range(2, 6))
def test_other_long_flows_agree(seed: int) -> None:
    """Batches of 1 to 500, states compared between them."""
    pair = Pair(SMALL)
    sizes = random.Random(seed)
    for commands_of_batch in cut(list(seeded(seed, 5_000, SMALL)), sizes):
        pair.batch(commands_of_batch)
        pair.compare_states()


@pytest.mark.parametrize("seed", [31, 32])
def test_wide_books_agree(seed: int) -> None:
    """Prices from 1 to 2^31-1, hundreds of live orders: an engine's ladder must grow, move and find its next price."""
    pair = Pair(WIDE)
    for count, command in enumerate(seeded(seed, 5_000, WIDE), 1):
        pair.step(command)
        if count % 250 == 0:
            pair.compare_states()


@given(st.binary(max_size=1024).map(lambda noise: noise[: len(noise) // 128 * 128]))
def test_any_bytes_are_a_batch(noise: bytes) -> None:
    """One outcome for each 128 bytes, no exception."""
    pair = Pair(SMALL)
    pair.batch([noise[at : at + 128] for at in range(0, len(noise), 128)])
    pair.compare_states()


@given(st.lists(st.tuples(st.sampled_from(list(v.VERB_BY_CODE)), st.lists(WILD_WORDS, min_size=15, max_size=15)), max_size=8))
def test_any_words_after_a_right_verb_are_a_batch(rows: list[tuple[int, list[int]]]) -> None:
    """Bytes at random rarely get beyond the verb; these do."""
    pair = Pair(SMALL)
    pair.batch([raw([verb, *words]) for verb, words in rows])
    pair.compare_states()


def cut(flow: list[bytes], sizes: random.Random) -> list[list[bytes]]:
    batches = []
    while flow:
        size = sizes.choice((1, 2, 10, 100, 500))
        batches.append(flow[:size])
        flow = flow[size:]
    return batches


def labels(happened: Event) -> list[str]:
    """What one event shows to have happened."""
    if happened.name == "CommandRefused":
        return [happened.name, f"rule {RULES[happened.rule - 1].name}"]
    if happened.name == "OrderRemoved":
        return [happened.name, f"removed {e.REMOVAL_REASONS[happened.reason]}"]
    if happened.name == "OrderReplaced":
        return [happened.name, f"kept priority {happened.kept_priority}"]
    if happened.name == "CommandRepeated":
        return [happened.name, f"first outcome remembered {happened.first_kind > 0}"]
    return [happened.name]


def everything() -> set[str]:
    """All that must happen in a long flow."""
    rules = {f"rule {rule.name}" for rule in RULES}
    reasons = {f"removed {reason}" for reason in e.REMOVAL_REASONS if reason}
    answers = {"kept priority 0", "kept priority 1", "first outcome remembered False", "first outcome remembered True"}
    return ({kind.name for kind in e.EVENTS} | rules | reasons | answers) - BEYOND_A_SMALL_MARKET
