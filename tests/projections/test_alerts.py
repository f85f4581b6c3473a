"""Alerts against every rule asked after every event, over random trading, rules that come and go, and restarts."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from projections.alert_rules import (
    ALERT,
    KINDS,
    MAX_TEXT,
    WINDOWS_S,
    Alert,
    BadRule,
    Change,
    Rule,
    alert_key,
    check,
    decode,
)
from projections.alerts import Alerts
from projections.columns import Columns
from projections.runs import Run
from projections.thresholds import Levels
from projections.view import Rows
from tests.conftest import REPOSITORY
from tests.market import buy, sell
from tests.model.small_market import TRADERS
from tests.projections.flow import blocks_of, trading
from tests.projections.naive_alerts import NaiveAlerts

SEEDS = st.integers(0, 2**32)


@settings(max_examples=15)
@example(3998, 47)  # a window's last rule goes and another comes before the same block
@given(SEEDS, st.integers(1, 150))
def test_what_fires_is_what_fires_when_each_rule_is_asked_after_each_event(seed: int, longest: int) -> None:
    """Wherever blocks end, whenever rules come and go, and whenever the fold is made anew from its state."""
    dice = random.Random(seed)
    blocks = trading(seed, 250, longest)
    changes = random_changes(dice, len(blocks))
    naive, fold = NaiveAlerts(1), Alerts()
    for block in blocks:
        naive.fired.clear()
        naive.follow(*block.rows(), changes[block.seq])
        fold.change(changes[block.seq])
        rows = fold.fold(Columns(block))
        assert {key: ALERT.one(row) for key, row in rows.items()} == {alert_key(*name): alert for name, alert in naive.fired.items()}
        assert list(rows) == [alert_key(*name) for name in sorted(naive.fired)], "in the order of events, then of rules"
        if dice.random() < 0.2:
            state, fold = fold.state(), Alerts()
            fold.restore(state)


@settings(max_examples=15)
@given(SEEDS, st.integers(1, 60), st.integers(2, 12))
def test_blocks_taken_together_fire_what_each_of_them_fires_alone(seed: int, longest: int, together: int) -> None:
    """Also those that are at the end of a block only, and once in a block."""
    dice = random.Random(seed)
    blocks = trading(seed, 250, longest)
    changes = random_changes(dice, len(blocks))
    alone, fold = Alerts(), Alerts()
    waiting, expected = list[Columns](), Rows()
    for block in blocks:
        if waiting and (changes[block.seq] or len(waiting) == together or dice.random() < 0.1):
            assert fold.fold(Run(waiting)) == expected
            waiting, expected = [], {}
        for each in (alone, fold):
            each.change(changes[block.seq])
        expected |= alone.fold(Columns(block))
        waiting.append(Columns(block))
    assert list(fold.fold(Run(waiting)).items()) == list(expected.items()), "in the same order"


def test_every_kind_of_rule_fires_in_that_trading() -> None:
    """Else the test above might compare nothing with nothing."""
    fired = defaultdict[str, int](int)
    for seed in range(4):
        fold, blocks = Alerts(), trading(seed, 350, 20)
        changes = random_changes(random.Random(seed), len(blocks))
        for block in blocks:
            fold.change(changes[block.seq])
            for row in fold.fold(Columns(block)).values():
                fired[KINDS[ALERT.one(row).kind]] += 1
    assert set(fired) == set(KINDS), dict(fired)


def random_changes(dice: random.Random, blocks: int) -> dict[int, list[Change]]:
    """A few dozen rules, some before the first block; of those that come some go again."""
    made, live = defaultdict[int, list[Change]](list), list[int]()
    for number, seq in enumerate(sorted(dice.choice((1, dice.randint(1, blocks))) for _ in range(60)), 1):
        if live and dice.random() < 0.2:
            made[seq].append(Change(number, seq, None, live.pop(dice.randrange(len(live)))))
        else:
            made[seq].append(Change(number, seq, random_rule(dice)))
            live.append(number)
    return made


def random_rule(dice: random.Random) -> Rule:
    kind = dice.choice(KINDS)
    above = kind in {"volume", "halt", "fills"} or dice.random() < 0.5
    level = {
        "price": dice.randint(95, 106),
        "spread": dice.randint(0, 8),
        "move": dice.randint(1, 60_000) * (1 if above else -1),
        "volume": dice.randint(1_000, 3_000),
        "balance": dice.randint(990_000, 1_010_000),
    }.get(kind, 0)
    return check(
        Rule(
            kind,
            dice.choice(TRADERS),
            dice.randint(1, 3) if kind not in {"balance", "fills"} else dice.randint(0, 3) * (kind == "fills"),
            dice.randint(1, 3) if kind == "balance" else 0,
            above,
            level,
            dice.choice((0, 0, 1, 3)) * (1_000 if kind in {"move", "volume", "balance"} else 1),
            dice.choice((10, 10, 60)) if kind in {"move", "volume"} else 0,
        )
    )


@settings(max_examples=60)
@given(SEEDS)
def test_levels_crossed_are_found_whatever_the_value_does(seed: int) -> None:
    """The engine alone, with many more levels than a market has prices, against one level after the other."""
    dice = random.Random(seed)
    rules = [(number, level := dice.randint(0, 40), level - dice.randint(1, 9)) for number in range(80)]
    last = dice.randint(0, 40)
    levels, armed = Levels(), {number: level > last for number, level, _ in rules}
    numbers, at, back = (np.array(column, np.int64) for column in zip(*rules, strict=True))
    levels.add(numbers, at, back, np.array(list(armed.values())))
    for _ in range(12):
        values = [dice.randint(0, 40) for _ in range(dice.randint(1, 6))]
        expected = dict[int, int]()
        for number, level, rearm in rules:
            for place, value in enumerate(values):
                if value >= level:
                    if armed[number]:
                        expected.setdefault(number, place)
                    armed[number] = False
                elif value <= rearm:
                    armed[number] = True
        fired = levels.follow(np.array(values), last)
        assert dict(zip(fired.rules.tolist(), fired.at.tolist(), strict=True)) == expected
        last = values[-1]
        down, up = levels.quiet(last)
        assert down < last < up
        assert up == min((level for number, level, _ in rules if armed[number]), default=up)
        assert down == max((rearm for number, _, rearm in rules if not armed[number]), default=down)


def said(price: int, *, hysteresis: int = 0) -> Callable[[list[list[bytes]]], list[tuple[int, int]]]:
    """Block and price of each alert of one rule on a price, given the commands of blocks."""

    def fired(commands: list[list[bytes]]) -> list[tuple[int, int]]:
        fold, told = Alerts(), list[tuple[int, int]]()
        fold.change([Change(1, 1, Rule("price", 1, 1, level=price, hysteresis=hysteresis))])
        for block in blocks_of(commands):
            told += [(block.seq, ALERT.one(row).value) for row in fold.fold(Columns(block)).values()]
        return told

    return fired


def trade(price: int) -> list[bytes]:
    """Two orders that trade at *price*."""
    return [sell(2, 1, price, instrument=1), buy(3, 1, price, instrument=1)]


def test_the_first_price_fires_nothing_it_may_have_been_there_before() -> None:
    assert said(100)([trade(101), trade(102)]) == []


def test_a_rule_fires_once_until_the_price_has_gone_back_by_the_hysteresis() -> None:
    blocks = [trade(price) for price in (95, 100, 101, 99, 100, 97, 100)]
    assert said(100)(blocks) == [(3, 100), (6, 100), (8, 100)]
    assert said(100, hysteresis=3)(blocks) == [(3, 100), (8, 100)]


def test_up_and_back_within_a_block_counts_once() -> None:
    assert said(100)([trade(95), [*trade(100), *trade(95), *trade(103), *trade(95)], trade(100)]) == [(3, 100), (4, 100)]


def test_the_same_blocks_and_changes_fire_the_same_from_the_first_block_again() -> None:
    def everything(seed: int) -> Rows:
        rows, fold, blocks = Rows(), Alerts(), trading(seed, 300, 30)
        changes = random_changes(random.Random(seed), len(blocks))
        for block in blocks:
            fold.change(changes[block.seq])
            rows |= fold.fold(Columns(block))
        return rows

    assert everything(11) == everything(11) != {}


GOOD = Rule("price", 7, 1, level=100)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Rule("price", 0, 1, level=1), "account of an alert is 0; right would be 1 to 10485760"),
        (Rule("price", 7, 0, level=1), "instrument of an alert is 0; right would be 1 to 65535"),
        (Rule("price", 7, 1), "level of an alert is 0; right would be 1 to 2147483647"),
        (Rule("balance", 7, 1, 2, level=5), "instrument of an alert is 1; right would be 0"),
        (Rule("move", 7, 1, level=5), r"window_s of an alert is 0; right would be one of 10, 60, 300, 900, 3600, 86400 \(seconds\)"),
        (Rule("move", 7, 1, above=False, level=5, window_s=60), "level of an alert is 5; right would be -1000000 to -1"),
        (Rule("price", 7, 1, level=5, window_s=60), "window_s of an alert is 60; right would be none: price has no window"),
        (Rule("halt", 7, 1, above=False), "above of an alert is false; right would be true: halt has only one direction"),
        (Rule("fills", 7, hysteresis=-1), "hysteresis of an alert is -1; right would be 0 to"),
        (Rule("halt", 7, 1, text="x" * (MAX_TEXT + 1)), "text of an alert has 201 characters; right would be one line of up to 200"),
        (Rule("halt", 7, 1, webhook="a\nb"), "webhook of an alert has 3 characters; right would be one line"),
        (Rule("halt", 7, 1, webhook="file:///etc/passwd"), "webhook of an alert is 'file:///etc/passwd'; right would be https://HOST/PATH"),
        (Rule("halt", 7, 1, email="a@b.c, d@e.f"), "email of an alert is 'a@b.c, d@e.f'; right would be one address, NAME@HOST"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_what_would_be_right(wrong: Rule, says: str) -> None:
    assert check(GOOD) is GOOD
    with pytest.raises(BadRule, match=says):
        check(wrong)


@pytest.mark.parametrize("text", ["", "[]", '{"kind":"regex","account":1}', '{"kind":"halt","account":1,"code":"x"}', "[" * 100_000])
def test_what_is_no_rule_is_refused(text: str) -> None:
    assert decode('{"kind":"halt","account":1,"instrument":2}') == Rule("halt", 1, 2)
    with pytest.raises(BadRule, match="no alert rule"):
        decode(text)


def test_windows_divide_into_their_steps() -> None:
    """So that steps are whole nanoseconds."""
    assert all(window * 10**9 % 60 == 0 or window == 10 for window in WINDOWS_S)


def test_the_manual_shows_the_row_of_an_alert_and_every_kind() -> None:
    manual = (REPOSITORY / "docs" / "alerts.md").read_text()
    for place, name in enumerate(Alert._fields, 1):
        assert f"| {8 * place} | `{name}` |" in manual
    assert ", ".join(f"{number} {kind}" for number, kind in enumerate(KINDS)) in manual
    assert all(f"| `{kind}` |" in manual for kind in KINDS)


def test_the_layout_of_an_alert_holds_what_it_names() -> None:
    alert = Alert(*range(1, 13))
    assert ALERT.unpack(ALERT.pack(alert)) == [alert]
