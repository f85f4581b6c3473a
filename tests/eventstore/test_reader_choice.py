"""Whom a read asks: in proportion to weight, never for what a server does not have, and what happens when servers go and return.

First step by step with one or two servers, then with a hundred in simulation.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.reader_choice import FRESH_S, MAX_RETRY_S, RAMP_S, RETRY_S, Member, ReaderChoice, shares
from tests.eventstore.reader_simulation import DEAD_S, PARTITION, PATIENCE_S, TIMEOUT_S, Read, Simulation

SEEDS = range(2)
HUNDRED = 100
PRIMARY = "primary"
CEILING = 404


def hundred(weights: Sequence[int] = (1,) * HUNDRED) -> list[Member]:
    each = shares(weights, CEILING - 4)
    members = [Member(f"standby-{number}", weight, share) for number, (weight, share) in enumerate(zip(weights, each, strict=True))]
    return [*members, Member(PRIMARY, 1, 4, is_last_resort=True)]


def choice_of(*members: Member, position: int = 100) -> ReaderChoice:
    """All of them seen, at the same position."""
    choice = ReaderChoice(members)
    for member in members:
        choice.observed(member.name, {PARTITION: position}, 0.0)
    return choice


def circuits(choice: ReaderChoice, now_s: float) -> dict[str, str]:
    return {each.name: each.circuit for each in choice.standings(now_s)}


def take(choice: ReaderChoice, seq: int = 0, now_s: float = 0.0, waited_s: float = 0.0) -> str | None:
    return choice.take({PARTITION: seq}, now_s, waited_s, PATIENCE_S)


def is_fair(served: Counter[str], members: Sequence[Member]) -> bool:
    """The bound that `reader_choice` states, for every two of *members*."""
    per_weight = [(served[member.name] / member.weight, 1 / member.weight) for member in members]
    return all(abs(a - b) <= 1 / w + 1 / v + 1e-6 for a, w in per_weight for b, v in per_weight)


def test_nobody_is_asked_who_was_not_heard_of() -> None:
    choice = ReaderChoice([Member("a", 1, 1)])
    assert take(choice) is None
    assert circuits(choice, 0.0) == {"a": "unknown"}
    assert choice.due(0.0) == ["a"]


def test_reads_are_divided_by_weight() -> None:
    choice = choice_of(Member("a", 1, 8), Member("b", 3, 8))
    names = [take(choice) for _ in range(8)]
    assert Counter(names) == {"a": 2, "b": 6}


@given(
    weights=st.lists(st.integers(1, 1000), min_size=2, max_size=8),
    excluded=st.lists(st.integers(0, 7), max_size=200),
    start=st.integers(0, 100),
)
def test_the_stated_bound_of_fairness_holds_over_any_stretch(weights: list[int], excluded: list[int], start: int) -> None:
    """Of those that could be asked all the time; others are busy now and then, which must not move the bound."""
    steady = [Member(f"s{number}", weight, 10_000) for number, weight in enumerate(weights)]
    fitful = [Member(f"f{number}", 5, 1) for number in range(8)]
    choice = choice_of(*steady, *fitful)
    served: Counter[str] = Counter()
    for number, busy in enumerate([*excluded, *range(100)]):
        if number == start:
            served.clear()
        name = take(choice)
        assert name
        served[name] += 1
        if name != f"f{busy % 8}":
            choice.give_back(name)  # else it stays busy for good
    assert is_fair(served, steady)


def test_a_read_goes_only_where_its_block_is() -> None:
    choice = choice_of(Member("a", 1, 9), Member("b", 1, 9))
    choice.observed("b", {PARTITION: 105}, 0.0)
    assert [take(choice, seq=103) for _ in range(4)] == ["b"] * 4


def test_who_may_have_it_by_now_is_looked_at_the_closest_first_and_by_one_read_at_a_time() -> None:
    """So that a read of what was just written need not wait for the next probe, and a crowd of them does not look together."""
    choice = choice_of(Member("far", 1, 9), Member("near", 1, 9))
    choice.observed("near", {PARTITION: 101}, 0.0)
    assert take(choice, seq=110, now_s=1.0) == "near"
    assert take(choice, seq=110, now_s=1.0) == "far"
    assert take(choice, seq=110, now_s=1.0) is None
    assert take(choice, seq=110, now_s=1.0 + FRESH_S) == "near"


def test_a_share_is_never_exceeded() -> None:
    choice = choice_of(Member("a", 1, 2), Member("b", 1, 1))
    assert sorted(filter(None, (take(choice) for _ in range(5)))) == ["a", "a", "b"]
    choice.give_back("a")
    assert take(choice) == "a"


def test_the_primary_is_asked_when_every_standby_is_gone_or_after_patience_and_up_to_its_share() -> None:
    choice = choice_of(Member("a", 1, 1), Member(PRIMARY, 1, 1, is_last_resort=True))
    assert take(choice) == "a"
    assert take(choice, waited_s=PATIENCE_S / 2) is None
    assert take(choice, waited_s=PATIENCE_S) == PRIMARY
    assert take(choice, waited_s=PATIENCE_S) is None
    choice.give_back(PRIMARY)
    choice.failed("a", 0.0)
    assert take(choice) == PRIMARY, "waiting would help nobody"
    assert take(choice) is None


def test_a_failure_opens_the_circuit_until_a_probe_is_answered() -> None:
    choice = choice_of(Member("a", 1, 4), Member("b", 1, 4))
    choice.failed("a", 0.0)
    assert circuits(choice, 0.0) == {"a": "open", "b": "closed"}
    assert {take(choice, now_s=0.1) for _ in range(4)} == {"b"}, "even when it could be tried again: a probe does that"
    assert choice.due(RETRY_S * 0.4) == []
    assert choice.due(RETRY_S * 1.5) == ["a"]
    assert choice.due(RETRY_S * 1.5) == [], "one probe at a time"
    choice.give_back("a")
    choice.observed("a", {PARTITION: 100}, 1.0)
    assert circuits(choice, 1.0)["a"] == "ramping"


def test_probes_come_later_and_later_up_to_a_bound() -> None:
    choice, now_s, waits = choice_of(Member("a", 1, 4)), 0.0, []
    for _ in range(12):
        choice.failed("a", now_s)
        began_s = now_s
        while not choice.due(now_s):
            now_s += 0.01
        choice.give_back("a")
        waits.append(now_s - began_s)
    assert RETRY_S / 2 <= waits[0] <= RETRY_S * 1.5 + 0.02
    assert MAX_RETRY_S / 2 <= waits[-1] <= MAX_RETRY_S * 1.5 + 0.02
    assert waits[4] > 4 * waits[0]


def test_those_who_find_out_late_that_a_server_is_gone_do_not_count_again() -> None:
    choice = choice_of(Member("a", 1, 9))
    for _ in range(9):
        choice.failed("a", 0.0)
    assert choice.standings(0.0)[0].failures == 1


def test_who_is_back_gets_its_share_little_by_little() -> None:
    choice = choice_of(Member("a", 1, 10))
    choice.failed("a", 0.0)
    choice.observed("a", {PARTITION: 100}, 10.0)

    def at_once(now_s: float) -> int:
        taken = [name for name in (take(choice, now_s=now_s) for _ in range(20)) if name]
        for name in taken:
            choice.give_back(name)
        return len(taken)

    assert [at_once(10.0 + part * RAMP_S) for part in (0.0, 0.3, 0.5, 1.0, 9.0)] == [1, 3, 5, 10, 10]


def test_shares_are_by_weight_and_everybody_has_one() -> None:
    assert shares([1, 1, 8], 20) == [2, 2, 16]
    assert shares([1, 1000], 2) == [1, 1]
    assert sum(shares([3] * HUNDRED, 250)) == 250


def test_lag_is_in_blocks_of_the_partition_that_is_furthest_behind() -> None:
    choice = ReaderChoice([Member("a", 1, 1), Member("b", 1, 1)])
    choice.observed("a", {1: 90, 2: 7}, 0.0)
    choice.observed("b", {1: 100, 2: 5}, 0.0)
    assert [each.lag_blocks for each in choice.standings(0.0)] == [10, 2]
    assert choice.newest(1) == 100


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hundred_standbys_share_the_reads_by_weight(seed: int) -> None:
    """With copies that are 10 to 100 ms old and reads of what is older than that, all can be asked for nearly all reads."""
    dice = random.Random(seed)
    members = hundred([dice.choice((1, 1, 2, 4)) for _ in range(HUNDRED)])
    told = Simulation(members, seed, reads_per_s=2_000).run(4.0)
    asked = told.by_reader(2.0, 4.0)
    assert told.older == told.unanswered == 0
    assert asked[PRIMARY] == 0
    assert is_fair(asked, members[:-1])
    assert told.most_in_all <= CEILING


@pytest.mark.parametrize("seed", SEEDS)
def test_copies_that_stand_still_for_a_while_are_passed_over_and_nothing_older_is_served(seed: int) -> None:
    simulation = Simulation(hundred(), seed, reads_per_s=500, back_blocks=0)  # what was written just now
    for server in list(simulation.servers.values())[:-1]:
        for number in range(2):
            when_s = 2.0 + number + simulation.random.random()
            simulation.at(when_s, lambda server=server, when_s=when_s: setattr(server, "stands_since_s", when_s))  # type: ignore[misc]
            simulation.at(when_s + 0.6, lambda server=server: setattr(server, "stands_since_s", None))  # type: ignore[misc]
    told = simulation.run(5.0)
    assert told.older == told.unanswered == 0
    assert max(told.waited_s) < PATIENCE_S, "some copy is always close"
    assert told.by_reader(0.0, 5.0)[PRIMARY] == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_half_of_a_hundred_gone_at_once_and_back_at_once(seed: int) -> None:
    """Each costs the reads that are on their way to it, once; the others take over within their shares; who returns is not overrun."""
    members = hundred()
    simulation = Simulation(members, seed, reads_per_s=1_000)
    lost, left = ([member.name for member in half] for half in (members[: HUNDRED // 2], members[HUNDRED // 2 : HUNDRED]))

    def all_of_them(gone: bool) -> None:
        for name in lost:
            simulation.servers[name].gone = gone

    simulation.at(2.0, lambda: all_of_them(gone=True))
    simulation.at(6.0, lambda: all_of_them(gone=False))
    told = simulation.run(17.0)
    assert told.older == told.unanswered == 0
    assert told.most_in_all <= CEILING
    assert all(told.most_in_use[member.name] <= member.share for member in members)
    assert told.by_reader(0.0, 17.0)[PRIMARY] == 0, "half of a hundred are enough"
    assert max(told.waited_s) <= DEAD_S + PATIENCE_S
    assert told.by_reader(2.0, 6.0).keys() <= set(left)

    probes = Counter(name for at_s, name in told.probed if name in lost and 2.0 <= at_s < 6.0)
    failures = Counter(name for _, name in told.failed)
    assert failures.keys() == set(lost)
    assert all(failures[name] <= members[0].share + probes[name] for name in lost), "the reads on their way, and then probes alone"
    at_once = Counter(at_s for at_s, name in told.probed if name in lost and 3.5 <= at_s < 6.0)
    assert max(at_once.values()) <= len(lost) / 3, "not all of them are tried at the same moment"

    for since_s in (6.0, 7.0, 8.0, 9.0):
        asked = told.by_reader(since_s, since_s + 1.0)
        assert max(asked[name] for name in lost) <= max(asked[name] for name in left) + 2, "what it missed is not made up for"
    assert is_fair(told.by_reader(15.0, 17.0), members[:-1]), "and in the end all is as before"


def test_all_of_a_hundred_gone_leaves_the_primary_its_bound() -> None:
    """Four connections and reads of 50 ms: 80 a second. Whoever finds no place in time is told so."""
    members = hundred()
    simulation = Simulation(members, 0, reads_per_s=120, takes_s=0.05)

    def gone() -> None:
        for member in members[:-1]:
            simulation.servers[member.name].gone = True

    simulation.at(2.0, gone)
    told = simulation.run(10.0)
    assert told.most_in_use[PRIMARY] == 4
    assert told.older == 0
    assert told.unanswered > 0
    assert max(told.waited_s) <= TIMEOUT_S + DEAD_S


def test_the_same_simulation_catches_a_pool_that_does_not_look_how_far_a_server_is() -> None:
    """Negative control: every server is taken to have whatever is asked for."""

    class Believing(Simulation):
        def _visit(self, name: str, read: Read) -> None:
            self.choice.observed(name, {PARTITION: 10**9}, self.now_s)
            self.at(self.now_s + read.takes_s, lambda: self._answered(name, read))

    told = Believing(hundred(), 0, reads_per_s=500, back_blocks=0).run(3.0)
    assert told.older > 0
