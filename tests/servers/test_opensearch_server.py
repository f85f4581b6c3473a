"""OpenSearch as a stack runs it: documents survive its death, and nothing is made that nobody stated."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapters.settings import load
from adapters.stack.stack import Stack
from tests.servers.fixtures import SMALL_HEAP_MB

MAPPING = {
    "settings": {"number_of_shards": 1, "number_of_replicas": 0},
    "mappings": {"dynamic": "strict", "properties": {"line": {"type": "keyword"}}},
}


def ask(url: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Status and answer of one request."""
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_killed_opensearch_comes_back_with_the_documents_that_it_acknowledged(own_stack: Callable[..., Stack]) -> None:
    """At the same address, of the same port: the others have it in their settings."""
    stack = own_stack(postgres=False, kafka=False, opensearch=True, opensearch_heap_mb=SMALL_HEAP_MB)
    url = stack.opensearch_url
    assert ask(url, "PUT", "/notes", MAPPING)[0] == 200
    for number in range(10):
        assert ask(url, "PUT", f"/notes/_create/{number}", {"line": "kept"})[0] == 201
    stack.servers["opensearch"].kill()
    stack.up()
    assert stack.opensearch_url == url
    ask(url, "POST", "/notes/_refresh")
    assert ask(url, "GET", "/notes/_count") == (200, ask(url, "GET", "/notes/_count?q=line:kept")[1])
    assert ask(url, "GET", "/notes/_count?q=line:kept")[1]["count"] == 10


def test_an_index_that_nobody_made_is_not_made_by_writing_to_it(opensearch_stack: Stack) -> None:
    """It would have a mapping that nobody stated."""
    name = f"test-{secrets.token_hex(6)}"
    status, answer = ask(opensearch_stack.opensearch_url, "PUT", f"/{name}/_create/1", {"line": "lost"})
    assert (status, answer["error"]["type"]) == (404, "index_not_found_exception")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as somebody else")
def test_root_does_not_run_it(opensearch_stack: Stack) -> None:
    assert Path(f"/proc/{opensearch_stack.servers['opensearch'].pid}").stat().st_uid != 0


def test_the_settings_name_it(opensearch_stack: Stack) -> None:
    settings = load({"OUTCRY_PROFILE": "stack", "OUTCRY_STACK": str(opensearch_stack.folder)})
    assert ask(settings.opensearch, "GET", "/")[1]["version"]["number"].startswith("2.19.")
