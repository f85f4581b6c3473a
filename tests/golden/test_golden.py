"""What earlier releases wrote is read by this one, to the same rows and the same hashes."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from domain.events import EVENTS as KINDS
from domain.verbs import SCHEMA_VERSION, VERBS
from eventstore.blocks import Block, after, genesis, verify
from eventstore.sqlite import SqliteLog
from tests.golden import files

VERSIONS: Final = sorted(files.ROWS)
GOLDEN: Final = [(version, name, block) for version in VERSIONS for name, block in files.golden_blocks(version).items()]
LAST_HASH: Final = {
    1: "992aacdc8d178e0a37531ce788026c49af7ee57a9ad3cc7623a54ea1f7eff53a",
    2: "43498e934424fd711f3064bc0e1e645da5cd5ae40477469d1d9e13840253f397",
    3: "062dd292b3dad990e599c5be154a4ebb5e22c1f492279c9290a5dc0248d03b80",
}


@pytest.mark.parametrize(("version", "name", "block"), GOLDEN, ids=lambda value: None if isinstance(value, Block) else str(value))
def test_a_golden_block_still_has_its_rows(version: int, name: str, block: Block) -> None:
    """The rows stand in rows_v*.py as they were written then."""
    assert block.schema_version == version
    assert block.rows() == files.golden_rows(version)[name]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_golden_blocks_are_one_chain_with_the_hashes_of_then(version: int) -> None:
    head = replace(genesis(files.PARTITION), epoch=1)
    for block in files.golden_blocks(version).values():
        verify(block, head)
        head = after(block)
    assert head.hash.hex() == LAST_HASH[version]


def test_every_verb_and_kind_has_a_golden_block_of_the_version_that_added_it() -> None:
    assert max(VERSIONS) == SCHEMA_VERSION
    for version in VERSIONS:
        assert list(files.golden_blocks(version)) == [row.name for row in (*VERBS, *KINDS) if row.since == version]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_record_is_read_and_continued(version: int, tmp_path: Path) -> None:
    """A SQLite file of an older schema version, opened by this release."""
    path = tmp_path / "record.sqlite3"
    shutil.copyfile(files.folder(version) / files.RECORD, path)
    with closing(SqliteLog(path)) as log:
        assert list(log.read(files.PARTITION)) == list(files.golden_blocks(version).values())
        assert log.claim(files.PARTITION).hash.hex() == LAST_HASH[version]
