"""What earlier releases wrote is read by this one, to the same rows and the same hashes."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from domain.events import EVENTS as KINDS
from domain.verbs import VERBS
from eventstore.blocks import Block, after, genesis, verify
from eventstore.sqlite import SqliteLog
from tests.golden import rows_v1

V1: Final = {path.stem.partition("-")[2]: rows_v1.from_file(path.read_bytes()) for path in sorted(rows_v1.FOLDER.glob("*.block"))}
LAST_HASH_V1: Final = "992aacdc8d178e0a37531ce788026c49af7ee57a9ad3cc7623a54ea1f7eff53a"


@pytest.mark.parametrize(("name", "block"), V1.items())
def test_a_golden_block_still_has_its_rows(name: str, block: Block) -> None:
    """The rows stand in rows_v1.py as they were written then."""
    assert block.rows() == rows_v1.golden_rows()[name]


def test_the_golden_blocks_are_one_chain_with_the_hashes_of_then() -> None:
    head = replace(genesis(rows_v1.PARTITION), epoch=1)
    for block in V1.values():
        verify(block, head)
        head = after(block)
    assert head.hash.hex() == LAST_HASH_V1


def test_every_verb_and_kind_of_version_1_has_a_golden_block() -> None:
    assert list(V1) == [row.name for row in (*VERBS, *KINDS) if row.since == 1]


def test_the_golden_record_is_read_and_continued(tmp_path: Path) -> None:
    """A SQLite file of schema version 1, opened by this release."""
    path = tmp_path / "record.sqlite3"
    shutil.copyfile(rows_v1.RECORD, path)
    with closing(SqliteLog(path)) as log:
        assert list(log.read(rows_v1.PARTITION)) == list(V1.values())
        assert log.claim(rows_v1.PARTITION).hash.hex() == LAST_HASH_V1
