"""A whole market into the record, and everything the record can be asked."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from adapters.registry.aggregates import Firm
from adapters.registry.registry import Registry
from eventstore.ports import CONSUMER_PARTITION
from eventstore.sqlite import SqliteLog
from tests.adapters.itch_files import add, execute, written
from tests.cli.conftest import Outcry

COMMANDS = 3000


@pytest.fixture
def market(outcry: Outcry) -> Outcry:
    """`outcry` with a small simulated market in its store."""
    assert outcry("feed", "simulate", "--commands", COMMANDS).code == 0
    return outcry


def test_a_feed_counts_what_it_added(outcry: Outcry) -> None:
    fed = outcry("feed", "simulate", "--seed", 5, "--commands", COMMANDS, "--json").json
    assert fed["commands"] == COMMANDS
    assert fed["trades"] > 0
    verified = outcry("verify", "--json").json
    assert (fed["events"], fed["blocks"], fed["state_hash"]) == (verified["events"], verified["blocks"], verified["state_hash"])


def test_the_same_seed_gives_the_same_market_and_another_seed_another(outcry: Outcry, tmp_path: Path) -> None:
    first = outcry("feed", "simulate", "--seed", 5, "--commands", COMMANDS, "--json").json
    same = outcry("feed", "simulate", "--seed", 5, "--commands", COMMANDS, "--json", "--store", tmp_path / "same").json
    other = outcry("feed", "simulate", "--seed", 6, "--commands", COMMANDS, "--json", "--store", tmp_path / "other").json
    assert same["state_hash"] == first["state_hash"] != other["state_hash"]


@pytest.mark.parametrize("more", [1, COMMANDS, 16_384 - COMMANDS, 16_385 - COMMANDS, 40_000])
def test_a_feed_goes_on_where_its_record_ends(market: Outcry, tmp_path: Path, more: int) -> None:
    """Cut short and run again, it leads to the state of one whole run; run once more, it adds nothing. Wherever its batches are cut."""
    rest = market("feed", "simulate", "--commands", COMMANDS + more, "--json").json
    whole = market("feed", "simulate", "--commands", COMMANDS + more, "--json", "--store", tmp_path / "whole").json
    nothing = market("feed", "simulate", "--commands", COMMANDS + more, "--json").json
    assert (rest["commands"], rest["state_hash"]) == (more, whole["state_hash"])
    assert (nothing["commands"], nothing["blocks"], nothing["state_hash"]) == (0, 0, whole["state_hash"])


def test_a_feed_refuses_a_store_of_something_else(market: Outcry) -> None:
    before = market("verify", "--json").json
    refused = market("feed", "simulate", "--seed", 99)
    assert refused.code == 2
    assert "holds simulate 1, not simulate 99" in refused.err
    assert market("verify", "--json").json == before


def test_a_difference_is_shown_in_words_where_there_are_words(market: Outcry, tmp_path: Path) -> None:
    market("list", "BOLT", "--store", tmp_path / "mine")
    assert "ACME" in market("diff", tmp_path / "store", tmp_path / "mine").out


def test_an_export_replaces_no_device(market: Outcry, tmp_path: Path) -> None:
    """It is written aside and renamed, which would make a file of the device."""
    os.mkfifo(tmp_path / "pipe")
    refused = market("export", tmp_path / "pipe", "--format", "csv")
    assert refused.code == 2
    assert "is a device or a pipe" in refused.err
    assert (tmp_path / "pipe").is_fifo()


def test_an_export_through_a_link_is_where_the_link_leads(market: Outcry, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    written = market("export", tmp_path / "link.csv", "--format", "csv", "--json").json
    assert written["path"] == str(tmp_path / "real.csv")
    assert (tmp_path / "link.csv").is_symlink()


def test_a_feed_refuses_a_store_in_which_clients_traded(outcry: Outcry) -> None:
    outcry("open", "carol")
    assert "holds commands of clients, not simulate 1" in outcry("feed", "simulate").err


def test_a_file_fed_again_is_a_repeat_and_another_of_its_name_is_not(outcry: Outcry, tmp_path: Path) -> None:
    """The second file goes on differently: taken for the first, its end would be mixed with the beginning of that."""
    day = written(tmp_path, add(1, "B", 100, 10_000), add(2, "S", 100, 10_100), name="day.itch50")
    fed = outcry("feed", "itch", day, "--json").json
    again = outcry("feed", "itch", day, "--json").json
    assert (again["commands"], again["blocks"], again["state_hash"]) == (0, 0, fed["state_hash"])

    written(tmp_path, add(1, "B", 100, 10_000), add(2, "S", 200, 10_100), execute(2, 100, 1), name="day.itch50")
    other = outcry("feed", "itch", day, "--json")
    assert other.code == 2
    assert "a feed wants a store of its own" in other.json["error"]
    assert outcry("verify", "--json").json["state_hash"] == fed["state_hash"]


@pytest.mark.parametrize(("kind", "name"), [("itch", "2020-13-01.itch50"), ("lobster", "day.zip")])
def test_a_file_that_cannot_be_of_its_kind_makes_no_store(outcry: Outcry, store: Path, tmp_path: Path, kind: str, name: str) -> None:
    """A day that never was, a zip that is none."""
    (tmp_path / name).write_bytes(b"what is this?")
    assert outcry("feed", kind, tmp_path / name).code == 3
    assert not store.exists()


def test_an_itch_file_trades_at_the_venues_price_with_the_venues_makers(outcry: Outcry, market_data: Path) -> None:
    fed = outcry("feed", "itch", market_data / "itch" / "aapl_2020-01-30_first_10k.itch50", "--json").json
    assert (fed["venue_executions"], fed["same_price"], fed["same_maker"], fed["other_trades"]) == (849, 849, 849, 0)
    book = outcry("book", "AAPL", "--levels", 1, "--json").json
    assert (book["buys"][0]["price"], book["sells"][0]["price"]) == ("320.1400", "320.3000")


def test_applying_and_executing_again_lead_to_one_state(market: Outcry) -> None:
    applied, executed = market("replay", "--json").json, market("replay", "--reexecute", "--json").json
    assert executed["ok"]
    assert applied["state_hash"] == executed["state_hash"] == market("verify", "--json").json["state_hash"]


def test_block_event_and_time_name_the_same_moment(market: Outcry) -> None:
    end = market("replay", "--json").json
    for option, value in (
        ("--to-seq", end["seq"]),
        ("--to-event", end["event"]),
        ("--to-time", end["time_ns"]),
        ("--to-time", end["time"]),
    ):
        assert market("replay", option, value, "--json").json["state_hash"] == end["state_hash"], option
    earlier = market("replay", "--to-event", end["event"] // 2, "--json").json
    assert end["event"] // 2 <= earlier["event"] < end["event"]


def test_a_moment_shows_book_account_and_the_life_of_an_order(market: Outcry) -> None:
    """What a compliance officer asks: the book then, order by order, what an account had, why this order got this fill."""
    shown = market("replay", "--book", "ACME", "--account", 1, "--json").json
    best = shown["book"]["buys"][0]
    assert best["price"] == market("book", "ACME", "--json").json["buys"][0]["price"]
    assert shown["account"]["balances"] == market("balance", 1, "--json").json["balances"]
    life = market("replay", "--order", best["order"], "--json").json["order"]
    assert [event["happened"] for event in life][:1] == ["OrderAccepted"]
    assert life[-1]["open"] == best["quantity"]
    assert market("replay", "--book", "ACME", "--account", 1, "--order", best["order"]).code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--to-seq", 99), "no block 99"),
        (("--to-time", "yesterday"), "is no time"),
        (("--to-seq", 1, "--to-event", 1), "name one of"),
        (("--reexecute", "--to-seq", 1), "takes none of the other options"),
        (("--order", 1), "never accepted an order 1"),
        (("--order", 2**53 + 2**24 + 1, "--to-event", 0), "accepted after that moment"),
        (("--account", 4000), "no account 4000 was opened"),
        (("--account", "nobody"), "no account 'nobody'"),
        (("--book", "NONE"), "no instrument 'NONE'"),
    ],
)
def test_what_is_not_in_the_record_is_refused_with_what_is(market: Outcry, arguments: tuple[object, ...], says: str) -> None:
    refused = market("replay", *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert says in refused.err


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv", "ndjson"])
def test_an_export_says_which_blocks_it_holds(market: Outcry, tmp_path: Path, form: str) -> None:
    verified = market("verify", "--json").json
    written = market("export", tmp_path / f"market.{form}", "--format", form, "--json").json
    assert (written["from_seq"], written["to_seq"], written["events"]) == (1, verified["blocks"], verified["events"])
    if form == "parquet":
        assert pq.read_metadata(tmp_path / "market.parquet").num_rows == verified["events"]


def test_an_export_of_blocks_that_are_not_there_is_refused(market: Outcry, tmp_path: Path) -> None:
    refused = market("export", tmp_path / "market.parquet", "--from-seq", 50)
    assert refused.code == 2
    assert not (tmp_path / "market.parquet").exists()


def test_two_records_of_one_market_are_the_same_and_of_two_are_not(market: Outcry, store: Path, tmp_path: Path) -> None:
    market("feed", "simulate", "--commands", COMMANDS, "--store", tmp_path / "same")
    market("feed", "simulate", "--commands", COMMANDS + 1, "--store", tmp_path / "longer")
    assert market("diff", store, tmp_path / "same").code == 0
    longer = market("diff", store, tmp_path / "longer", "--json")
    assert (longer.code, longer.json["same"], longer.json["commands"]) == (1, False, COMMANDS)
    assert "FIRST DIFFERENCE: command" in market("diff", store, tmp_path / "longer").out


def test_one_flipped_byte_is_named_by_block_and_exits_with_1(market: Outcry, store: Path) -> None:
    """Whoever has the file can write to it; nobody can do so unseen."""
    flip(store, "SELECT payload FROM blocks ORDER BY id LIMIT 1")
    bad = market("verify", "--json")
    assert (bad.code, bad.json["ok"]) == (1, False)
    assert (bad.json["first_bad"]["partition"], bad.json["first_bad"]["seq"]) == (1, 1)
    assert "NOT AS COMMITTED: partition 1, block 1" in market("verify").out


def flip(store: Path, select: str) -> None:
    """A bit of the payload that *select* finds."""
    path = store / "record.sqlite"
    db = sqlite3.connect(path)
    payload = db.execute(select).fetchone()[0]
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    content = bytearray(path.read_bytes())
    place = content.find(payload[-64:])
    assert place > 0, "the end of a payload lies in one piece in its page"
    content[place] ^= 1
    path.write_bytes(content)


def test_what_is_registered_is_verified_beside_the_market_and_goes_into_no_archive(market: Outcry, store: Path) -> None:
    with closing(SqliteLog(store / "record.sqlite")) as log:
        Registry(log).add(Firm("acme", "root", "a test"))
    verified = market("verify", "--json").json
    assert (verified["ok"], verified["registry"]["blocks"], verified["registry"]["events"]) == (True, 1, 1)
    archived = market("archive", "--until", "now", "--json").json
    assert {each["partition"] for each in archived["ranges"]} == {1}
    assert market("query", "select count(*) from trades", "--json").code == 0

    flip(store, f"SELECT payload FROM blocks WHERE part = {CONSUMER_PARTITION}")

    bad = market("verify", "--json")
    assert (bad.code, bad.json["ok"], bad.json["registry"]["first_bad"]["partition"]) == (1, False, CONSUMER_PARTITION)
    assert "NOT AS COMMITTED: partition 0, block 1" in market("verify").out


def test_the_demo_proves_its_record(outcry: Outcry, tmp_path: Path) -> None:
    """Three ways to the state after the same events: as it was left, replayed, executed again."""
    shown = outcry("demo", "--once", "--commands", COMMANDS, "--store", tmp_path / "demo", "--json")
    assert shown.code == 0
    assert len(shown.json["state_hashes"]) == 3
    assert len(set(shown.json["state_hashes"].values())) == 1
    assert shown.json["commands"] == COMMANDS
    assert {"trades", "refusals", "blocks", "commands_per_s", "bytes_per_event", "top_of_book"} <= set(shown.json)


def test_a_new_account_gets_a_number_that_nobody_has(market: Outcry) -> None:
    """The accounts of a simulated market have numbers and no names."""
    opened = market("open", "carol", "--json")
    assert opened.code == 0, opened.err
    assert opened.json["account"] > 1
    assert market("balance", "carol").code == 0
