"""Malformed rows, found before they are sequenced: the domain's rule `malformed_field`, over a whole batch at once.

The domain refuses a malformed row with an event, whoever sent it. A door that asks here first can name row, field, value
and rule to its client and need not put the row on record. tests/commands/test_wellformed.py holds both judgements together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from commands.bounds import CHECKS, Check, Mask, Words
from domain import verbs as v


class Malformed(NamedTuple):
    """Row *row* of a batch (from 0) is malformed: *value* is what *field*, in word *word*, holds; *rule* is what it breaks."""

    row: int
    verb: str
    field: str
    word: int
    value: int
    rule: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.verb}.{self.field} (word {self.word}) is {self.value}: {self.rule}"


def check(rows: Words) -> list[Malformed]:
    """The malformed ones among *rows* (int64[n, 16]), ascending: for each the first rule it breaks, words in rising order."""
    found: list[Malformed] = []
    unknown = np.ones(len(rows), dtype=np.bool_)
    for code, checks in CHECKS.items():
        of_verb = rows[:, v.VERB] == code
        if of_verb.any():
            unknown &= ~of_verb
            found.extend(_broken(rows, of_verb, v.VERB_BY_CODE[code].name, checks))
    rule = f"verbs are {min(CHECKS)} to {max(CHECKS)}"
    found.extend(Malformed(row, "unknown", "verb", v.VERB, int(rows[row, v.VERB]), rule) for row in np.flatnonzero(unknown).tolist())
    return sorted(found)


def _broken(rows: Words, of_verb: Mask, verb: str, checks: list[Check]) -> Iterator[Malformed]:
    numbers = np.flatnonzero(of_verb)
    words = np.ascontiguousarray(rows.take(numbers, axis=0).T)
    sound = np.ones(len(numbers), dtype=np.bool_)
    for rule in checks:
        broken = rule.broken(words)
        if broken.any():
            first = np.flatnonzero(broken & sound)
            sound &= ~broken
            for row, value in zip(numbers[first].tolist(), rule.value(words)[first].tolist(), strict=True):
                yield Malformed(row, verb, rule.field, rule.word, value, rule.rule)
