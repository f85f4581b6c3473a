"""The client stands alone: it may be copied out of this repository, and needs four libraries."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY

NEEDS = {"cryptography", "httpx", "msgspec", "outcry", "picows", "tenacity"}


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name.partition(".")[0] for name in found}


def test_the_client_imports_no_more_than_it_says() -> None:
    """cryptography only where a key is of the kind ed25519."""
    found = {name for path in (REPOSITORY / "outcry/client").glob("*.py") for name in imported(ast.parse(path.read_text()))}
    assert found - sys.stdlib_module_names == NEEDS


def test_a_copy_of_it_works_where_nothing_else_of_ours_is(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "outcry/client", tmp_path / "outcry/client")
    (tmp_path / "outcry/__init__.py").touch()
    code = """if True:
        import sys
        sys.path[:] = [sys.argv[1], *(path for path in sys.path if path != sys.argv[2])]
        from outcry.client import Client, Unavailable
        assert not {"adapters", "commands", "domain", "eventstore"} & set(sys.modules)
        with Client("http://127.0.0.1:1", patience_s=0) as client:
            try:
                client.instruments()
            except Unavailable as error:
                print(error)
    """
    ran = subprocess.run([sys.executable, "-I", "-c", code, str(tmp_path), str(REPOSITORY)], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("no answer: ConnectError")
