"""`outcry search` of an embedded record: what it shows, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.conftest import Outcry


@pytest.fixture
def traded(outcry: Outcry) -> Outcry:
    """A market in which alice sold to bob, and bob asked for too much."""
    assert outcry("order", "buy", "ACME", 100, "@", "12.50", "--account", "alice").code == 0
    assert outcry("order", "sell", "ACME", 40, "@", "12.40", "--account", "bob").code == 0
    assert outcry("order", "sell", "ACME", 40, "@", "99999.00", "--account", "bob").code == 1
    return outcry


def test_each_hit_says_where_it_stands_on_record_and_what_its_numbers_mean(traded: Outcry) -> None:
    found = traded("search", "--instrument", "ACME", "--kind", "trade", "--json").json
    (trade,) = found["hits"]
    assert (found["level"], found["as_of"], found["more"]) == ("record", [{"partition": 1, "seq": 4}], False)
    assert (trade["partition"], trade["seq"], trade["event"]) == (1, 3, 11)
    assert (trade["price"], trade["quantity"], trade["side"], trade["account"]) == ("12.50", "40", "sell", [2, 1])


def test_people_see_names_and_what_happened(traded: Outcry) -> None:
    shown = traded("search", "--account", "bob").out
    assert "NewOrder: price_band (9999900 against 1000000)" in " ".join(shown.split())
    assert "bob alice" in shown
    assert "from the record, as of block 4 of partition 1" in shown


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (["--account", "alice", "--kind", "order"], ["order"]),
        (["--reason", "price_band"], ["refusal"]),
        (["--instrument", "ACME", "--price", "12.45..12.50"], ["order", "trade"]),
        (["--instrument", "ACME", "--price", "12.401..12.449"], []),
        (["--instrument", "ACME", "--price", "12.50.."], ["order", "trade", "refusal"]),
        (["--instrument", "ACME", "--size", "41.."], ["order"]),
        (["--instrument", "ACME", "--size", "..40", "--side", "sell"], ["order", "trade", "refusal"]),
        (["--text", "price_band neworder"], ["refusal"]),
        (["--text", "halted"], []),
        (["--text", "open"], ["session"]),
        (["--to", "2001-01-01T00:00:00"], []),
        (["--from", "2001-01-01T00:00:00", "--kind", "funds", "--account", "bob"], ["funds", "funds"]),
    ],
)
def test_criteria_are_what_all_hits_have_in_common(traded: Outcry, options: list[str], kinds: list[str]) -> None:
    assert [hit["kind"] for hit in traded("search", "--json", *options).json["hits"]] == kinds


def test_what_is_beyond_the_limit_comes_after_the_place_that_the_answer_names(traded: Outcry) -> None:
    everything = traded("search", "--json").json
    first = traded("search", "--json", "--limit", 5).json
    rest = traded("search", "--json", "--after", first["next"]).json
    assert (first["more"], rest["more"], rest["next"]) == (True, False, None)
    assert first["hits"] + rest["hits"] == everything["hits"]
    backwards = traded("search", "--json", "--newest", "--limit", 5).json
    before = traded("search", "--json", "--newest", "--after", backwards["next"]).json
    assert backwards["hits"] + before["hits"] == everything["hits"][::-1]


def test_the_archive_answers_as_the_record_does(traded: Outcry, store: Path) -> None:
    """Of the blocks that it has."""
    archive = str(store.parent / "archive")
    assert traded("archive", "--to", archive, "--until", "now").code == 0
    assert traded("order", "buy", "ACME", 1, "@", "1.00", "--account", "alice").code == 0
    from_record = traded("search", "--json", "--kind", "trade", "--instrument", "ACME", "--price", "12.50").json
    from_archive = traded(
        "search", "--json", "--kind", "trade", "--instrument", "ACME", "--price", "12.50", "--level", "archive", "--archive", archive
    ).json
    assert (from_archive["level"], from_archive["as_of"]) == ("archive", [{"partition": 1, "seq": 4}])
    assert from_archive["hits"] == from_record["hits"] != []
    assert from_record["as_of"] == [{"partition": 1, "seq": 5}]


def test_csv_has_a_column_for_every_field(traded: Outcry) -> None:
    (trade,) = csv.DictReader(traded("search", "--kind", "trade", "--csv").out.splitlines())
    assert (trade["account"], trade["price"], trade["price_ticks"]) == ("2 1", "12.50", "1250")


@pytest.mark.parametrize(
    ("options", "right"),
    [
        (["--text", "*ancel"], "whole words, or the beginning of one"),
        (["--text", "/can.*/"], "There are no regular expressions"),
        (["--text", "ca*"], "3 letters or more"),
        (["--text", "a " * 17], "at most 16 of at most 100 characters"),
        (["--limit", "100000"], "then --after with the `next` of the answer"),
        (["--after", "now"], "TIME-PARTITION-EVENT"),
        (["--price", "1..2"], "needs --instrument"),
        (["--price", "cheap", "--instrument", "ACME"], "12.40..12.60"),
        (["--price", "1e40..", "--instrument", "ACME"], "12.40..12.60"),
        (["--size", "..", "--instrument", "ACME"], "bounds nothing"),
        (["--instrument", "NONE", "--price", "1.."], "NONE"),
        (["--from", "yesterday"], "is no time"),
        (["--csv", "--json"], "two forms of one answer"),
        (["--level", "index"], "--level record"),
    ],
)
def test_a_search_that_would_hurt_or_means_nothing_is_refused_with_what_would_be_right(
    traded: Outcry, options: list[str], right: str
) -> None:
    refused = traded("search", *options)
    assert (refused.code, right in refused.err) == (2, True), refused.err


def test_without_a_record_it_says_how_to_begin_one(outcry: Outcry) -> None:
    refused = outcry("search")
    assert (refused.code, "outcry order" in refused.err) == (2, True)
