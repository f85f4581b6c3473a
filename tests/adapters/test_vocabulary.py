"""docs/events.md is written from the tables and may not fall behind them."""

from __future__ import annotations

from adapters.vocabulary import PAGE, page
from domain.events import EVENTS
from domain.rules import RULES
from domain.verbs import VERBS


def test_the_page_is_up_to_date() -> None:
    """Run `python -m adapters.vocabulary` after a change of the tables."""
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/events.md is old: run `python -m adapters.vocabulary`"


def test_the_page_names_every_command_event_field_and_rule() -> None:
    """A reader finds each by its name and code."""
    text = page()
    for row in VERBS + EVENTS:
        section = text.split(f"### {row.name} ({row.code})\n")[1].split("\n###")[0] + text.split("### Every command")[1].split("\n###")[0]
        assert row.means in section
        assert all(f"| `{field.name}` | {field.word} |" in section for field in row.fields), row.name
    assert all(f"| {rule.code} | {rule.name} |" in text for rule in RULES)
