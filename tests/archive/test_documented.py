"""docs/archive.md is a promise: every line of it is run here, in its order, and every recipe has an answer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from adapters.query.tables import TABLES
from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "docs/archive.md").read_text()
LINES = re.findall(r"^\$ (.+)$", TEXT, re.MULTILINE)


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OUTCRY_STORE": "simulated",
        "XDG_CONFIG_HOME": str(folder),
    }
    return subprocess.run(["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=250)


def test_every_line_works_and_every_recipe_has_an_answer(tmp_path: Path) -> None:
    """In a fresh folder; a recipe must find something in the market that the page simulates."""
    queries = [line for line in LINES if line.startswith("outcry query")]
    assert len(queries) >= 6
    for line in LINES:
        asks = line in queries and "--parquet" not in line
        ran = run(f"{line} --json" if asks else line, tmp_path)
        assert ran.returncode == 0, f"$ {line}\n{ran.stdout}{ran.stderr}"
        if asks:
            answer = json.loads(ran.stdout)
            assert answer["rows"], line
            assert answer["as_of"][0]["cut"] is False
    assert pq.read_metadata(tmp_path / "events.parquet").num_rows > 20_000


def test_the_page_names_every_column_there_is() -> None:
    """But those of events, which have a page of their own."""
    for name, table in TABLES.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", TEXT, re.MULTILINE)
        columns = table.schema.names[6:] if name != "events" else []
        assert [column for column in columns if column not in re.findall(r"\w+", row)] == []
