"""The typed commands and the tables of the domain say the same."""

from __future__ import annotations

from typing import get_args, get_type_hints

import msgspec
import pytest

from commands import messages
from commands.codec import SPELLINGS
from domain.fields import RowType
from domain.verbs import TEXTS, VERBS


def verb_name(row_type: RowType) -> str:
    return row_type.name


def test_there_is_one_type_per_verb_and_no_other() -> None:
    assert [kind.__name__ for kind in get_args(messages.Command)] == [verb.name for verb in VERBS]


@pytest.mark.parametrize("verb", VERBS, ids=verb_name)
def test_a_type_has_the_fields_of_its_verb_in_their_order(verb: RowType) -> None:
    names = msgspec.structs.fields(getattr(messages, verb.name))
    assert [field.name for field in names] == [field.name for field in verb.fields]


@pytest.mark.parametrize("verb", VERBS, ids=verb_name)
def test_an_enumeration_lists_the_spellings_of_the_vocabulary(verb: RowType) -> None:
    """A state or status of 0 stands for "there is none" in events; a command cannot ask for it."""
    for name, hint in get_type_hints(getattr(messages, verb.name)).items():
        if get_args(hint) and name in SPELLINGS:
            start = 1 if name in ("state", "status", "error") else 0
            assert get_args(hint) == SPELLINGS[name][start:], name


@pytest.mark.parametrize("verb", VERBS, ids=verb_name)
def test_every_field_with_spellings_is_an_enumeration(verb: RowType) -> None:
    hints = get_type_hints(getattr(messages, verb.name))
    for field in verb.fields:
        expected = str if field.name in TEXTS else int
        assert (field.name in SPELLINGS) == (hints[field.name] is not expected), field.name


def test_a_command_reads_from_json_by_its_verb() -> None:
    text = b'{"verb": "NewOrder", "account": 7, "instrument": 1, "side": "sell", "price_ticks": 101, "quantity_lots": 5}'
    order = msgspec.json.decode(text, type=messages.Command)
    assert order == messages.NewOrder(account=7, instrument=1, side="sell", price_ticks=101, quantity_lots=5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"verb": "NewOrder", "instrument": 1, "side": "bid", "quantity_lots": 5}', "side"),
        (b'{"verb": "NewOrder", "instrument": 1, "side": "buy", "quantity_lots": 5.5}', "quantity_lots"),
        (b'{"verb": "NewOrder", "instrument": 1, "side": "buy"}', "quantity_lots"),
        (b'{"verb": "NewOrder", "instrument": 1, "side": "buy", "quantity_lots": 5, "quantity": 5}', "quantity"),
        (b'{"verb": "Buy"}', "Buy"),
    ],
)
def test_what_is_no_command_is_named(text: bytes, says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.json.decode(text, type=messages.Command)
