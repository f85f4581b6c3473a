"""Names of accounts and assets: a file beside the record, on which nothing depends but the spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters import names
from adapters.names import Asset, BadName, Names

KNOWN = Names(accounts={"alice": 1, "bob": 2}, assets={"USD": Asset(1, 2)})


def test_names_survive_the_way_to_the_file_and_back(tmp_path: Path) -> None:
    names.save(tmp_path, KNOWN)
    assert names.load(tmp_path) == KNOWN
    assert [path.name for path in tmp_path.iterdir()] == [names.FILE]


def test_a_store_without_a_file_knows_numbers_only(tmp_path: Path) -> None:
    unnamed = names.load(tmp_path)
    assert unnamed.account("7") == 7
    assert unnamed.account_name(7) == "7"
    with pytest.raises(BadName, match="there are numbers only"):
        unnamed.account("alice")


def test_a_name_nobody_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadName, match=r"no account 'carol'; there are alice, bob"):
        KNOWN.account("carol")
    with pytest.raises(BadName, match=r"no asset 'EUR'; there are USD"):
        KNOWN.asset("EUR")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"accounts": {"alice": "one"}}', b'{"assets": {"USD": 1}}', b"\xff\xfe"])
def test_a_file_that_is_no_file_of_names_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / names.FILE).write_bytes(content)
    with pytest.raises(BadName, match=r"names\.json: .*; mend it"):
        names.load(tmp_path)
