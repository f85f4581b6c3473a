"""Random flows of commands, drawn field by field from the pools of a market (small_market.py, wide_market.py).

`pick` chooses, be it a seeded Random or Hypothesis, so both make the same kind of flow. Four fields are drawn as
placeholders, because what is interesting depends on what happened before; `resolve` turns them into real values just
before execution.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from hypothesis import strategies as st

from domain import verbs as v
from tests.market import decode_row, row, with_word
from tests.model.reference import Model

Pick = Callable[[Sequence[int]], int]

OWNER: Final = 0  # placeholder of an account: the one whose order it is
RECENTLY_ACCEPTED: Final = 2**40  # placeholder of an order: plus 1 is the one accepted last, dead or alive
HOUR_NS: Final = 3_600 * 10**9


class Template(NamedTuple):
    """A verb, how often it is drawn, and from which pool each of its fields; a field without a pool is 0."""

    weight: int
    verb: int
    pools: Mapping[str, Sequence[int]]


class Flow(NamedTuple):
    """A kind of market: what is there before, and what is drawn after."""

    opening: Sequence[bytes]
    templates: Sequence[Template]


_COMMON: Final[Mapping[str, Sequence[int]]] = {
    "received_ns": (0,) * 40 + (1,) * 10 + (2, 3, 10**9, 600 * 10**9, HOUR_NS, -3),  # placeholder: nanoseconds from now
    "session": (0,) * 130 + (1, 1, 1, 2, 2, 4_095, 4_096),
    "sequence": (0,) * 900 + tuple(range(1, 61)),  # placeholder where there is a session
}
_SEQUENCE_STEPS: Final = (1, 1, 1, 1, 1, 2, 0, -1, -2, 1_500, -1_200, -1_400)
_SPOILT: Final = (-1, 1, 2, 7, 2**24, 2**31, 2**62 + 1, 2**63 - 1, -(2**63))


def command(pick: Pick, flow: Flow) -> bytes:
    """One command; one in twenty-five has a word overwritten."""
    template = flow.templates[pick([number for number, drawn in enumerate(flow.templates) for _ in range(drawn.weight)])]
    drawn = {name: pick(pool) for name, pool in {**_COMMON, **template.pools}.items()}
    expires_in = drawn.pop("expires_ns", 0)
    made = row(template.verb, **drawn)
    if expires_in:
        made = with_word(made, v.EXPIRES_NS, expires_in)
    if pick(range(25)) == 24:
        made = with_word(made, pick(range(16)), pick(_SPOILT))
    return made


def resolve(made: bytes, model: Model, accepted: Sequence[int]) -> bytes:
    """The row to execute: placeholders replaced by what they mean now.

    received_ns, expires_ns  small numbers are nanoseconds from the time before the command
    sequence                 in a session, a step from the last one
    order                    small numbers count back from the newest live order, beginning again when there are no more
    account                  OWNER beside such an order becomes the account whose it is
    """
    fields = decode_row(made)
    if "verb" not in fields:
        return made
    if abs(fields["received_ns"]) < 2**50:
        made = with_word(made, v.RECEIVED_NS, max(0, model.time_ns + fields["received_ns"]))
    if 0 < fields["session"] < 2**20 and fields["sequence"] >= 0:
        step = _SEQUENCE_STEPS[fields["sequence"] % len(_SEQUENCE_STEPS)]
        made = with_word(made, v.SEQUENCE, model.session_last.get(fields["session"], 0) + step)
    if fields.get("time_in_force") == v.GTD and abs(fields["expires_ns"]) < 2**50:
        made = with_word(made, v.EXPIRES_NS, model.time_ns + fields["expires_ns"])
    if "order" in fields:
        made = _resolve_order(made, fields, model, accepted)
    return made


def _resolve_order(made: bytes, fields: dict[str, int], model: Model, accepted: Sequence[int]) -> bytes:
    live = {order.number: order.account.number for order in model.orders}
    number = fields["order"]
    if 0 < number < RECENTLY_ACCEPTED and live:
        number = [*live][-1 - (number - 1) % len(live)]
    elif 0 < number - RECENTLY_ACCEPTED <= len(accepted):
        number = accepted[RECENTLY_ACCEPTED - number]
    if fields["account"] == OWNER and number != fields["order"]:
        made = with_word(made, v.ACCOUNT, live.get(number, 1))
    return with_word(made, v.ORDER, number)


def seeded(seed: int, count: int, flow: Flow) -> Iterator[bytes]:
    """*count* commands, unresolved; the same for the same seed."""
    choice = random.Random(seed).choice
    return (command(choice, flow) for _ in range(count))


@st.composite
def commands(draw: st.DrawFn, flow: Flow) -> bytes:
    """One command, unresolved."""
    return command(lambda pool: draw(st.sampled_from(pool)), flow)
