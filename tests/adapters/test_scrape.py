"""Finding workers and asking them: whoever does not answer is named with the reason, and delays nobody."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters import scrape
from adapters.metrics import Metrics, PartitionStatus
from adapters.scrape import BadAddress, Place
from adapters.status import StatusServer


@pytest.fixture
def server() -> Iterator[StatusServer]:
    metrics = Metrics("worker-1")
    metrics.observe([PartitionStatus(1, "owner", 4, 90), PartitionStatus(2, "standby", 3, 50, 45)])
    with closing(StatusServer(metrics, 0, lambda: ["the record does not answer"], time.monotonic)) as opened:
        yield opened


@pytest.fixture
def ended_pid() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_worker_says_its_series_and_why_it_is_not_ready(server: StatusServer) -> None:
    (seen,) = scrape.scrape([Place("127.0.0.1", server.port)])
    assert (seen.worker, seen.failure, seen.reasons) == ("worker-1", "", ["the record does not answer"])
    assert seen.value("outcry_record_seq", partition="2") == 50
    assert seen.value("outcry_record_seq") == 140
    assert [labels for labels, value in seen.of("outcry_role", partition="1") if value] == [{"partition": "1", "role": "owner"}]
    assert seen.value("outcry_nothing") == 0


def test_nobody_there_is_said(server: StatusServer) -> None:
    server.close()
    (seen,) = scrape.scrape([Place("127.0.0.1", server.port)])
    assert (seen.worker, seen.failure) == (f"127.0.0.1:{server.port}", "nobody listens there")


def test_a_worker_that_was_killed_is_named_with_its_process(server: StatusServer, ended_pid: int) -> None:
    server.close()
    (seen,) = scrape.scrape([Place("127.0.0.1", server.port, "worker-1", ended_pid)])
    assert (seen.worker, seen.failure) == ("worker-1", f"process {ended_pid} has ended")


def test_a_port_that_another_worker_has_now_is_not_taken_for_the_old_one(server: StatusServer) -> None:
    """Else what the new one does would be counted twice."""
    (seen,) = scrape.scrape([Place("127.0.0.1", server.port, "worker-0", os.getpid())])
    assert (seen.worker, seen.failure, seen.samples) == ("worker-0", "worker-1 answers there now", {})


def test_one_that_does_not_answer_delays_nobody(server: StatusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker that was stopped (SIGSTOP): the system still takes the connection, and nothing comes."""
    monkeypatch.setattr(scrape, "PATIENCE_S", 0.3)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        mute = Place("127.0.0.1", silent.getsockname()[1], "worker-0")
        begin_s = time.monotonic()
        seen = scrape.scrape([mute] * 5 + [Place("127.0.0.1", server.port)])
        assert time.monotonic() - begin_s < 5 * 0.3
    assert [each.failure for each in seen] == ["no answer within 0.3 s"] * 5 + [""]


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 200 OK\r\n\r\nwhat{ 1", b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe"])
def test_what_is_no_worker_is_an_answer_too(said: bytes) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        at = Place("127.0.0.1", other.getsockname()[1])
        process = subprocess.Popen(
            [sys.executable, "-c", f"import socket; s = socket.socket(fileno=0).accept()[0]; s.recv(999); s.sendall({said!r}); s.close()"],
            stdin=other.fileno(),
        )
        (seen,) = scrape.scrape([at])
        process.wait(20)
    assert seen.failure
    assert seen.worker == at.address


def test_workers_announce_themselves_in_the_folder_of_the_stack(tmp_path: Path) -> None:
    assert scrape.announced(tmp_path) == []
    workers = tmp_path / "workers"
    workers.mkdir()
    (workers / "b.json").write_text('{"worker": "b", "pid": 12, "port": 9101}')
    (workers / "a.json").write_text('{"worker": "a", "pid": 11, "port": 9100, "since": "a later release"}')
    (workers / "half.json").write_text('{"worker": "ha')
    (workers / "other.json").write_text('{"port": "many"}')
    assert scrape.announced(tmp_path) == [Place("127.0.0.1", 9100, "a", 11), Place("127.0.0.1", 9101, "b", 12)]


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("http://127.0.0.1:9100", Place("127.0.0.1", 9100)),
        ("http://127.0.0.1:9100/", Place("127.0.0.1", 9100)),
        ("host.example:1", Place("host.example", 1)),
        ("[::1]:9100", Place("::1", 9100)),
    ],
)
def test_an_address_is_read_as_people_write_it(address: str, found: Place) -> None:
    assert scrape.place(address) == found


@pytest.mark.parametrize("address", ["", "9100", "host", "host:0", "host:65536", "https://host:9100", "http://host:9100/metrics", "a b:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadAddress, match="right would be for example"):
        scrape.place(address)
