"""Redis as a stack runs it: what survives its death, who comes in, and what it does when it is full."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL

import pytest
import redis

from adapters.settings import load
from adapters.stack import install, process
from adapters.stack.redis import Redis
from adapters.stack.stack import Stack

Make = Callable[..., Stack]
NOTHING_ELSE = {"postgres": False, "kafka": False, "redis": True}


def server_of(stack: Stack) -> Redis:
    server = stack.servers["redis"]
    assert isinstance(server, Redis)
    return server


def connect(stack: Stack) -> redis.Redis:
    return redis.Redis.from_url(stack.redis_url)


def test_a_killed_redis_comes_back_with_what_it_acknowledged(own_stack: Make) -> None:
    stack = own_stack(**NOTHING_ELSE)
    connect(stack).set("note", "kept")
    stack.servers["redis"].kill()
    stack.up()
    assert connect(stack).get("note") == b"kept"


def test_a_killed_redis_without_its_append_only_file_comes_back_empty(own_stack: Make) -> None:
    """Whoever writes views must stand both; this one is the control of the test before."""
    stack = own_stack(**NOTHING_ELSE)
    stack.servers["redis"].stop()
    server_of(stack).settings["appendonly"] = "no"
    stack.up()
    connect(stack).set("note", "lost")
    stack.servers["redis"].kill()
    stack.up()
    assert connect(stack).get("note") is None


def test_what_was_written_as_one_survives_a_cut_as_one_or_not_at_all(own_stack: Make) -> None:
    """A power cut ends the append-only file anywhere: rows and position cannot part, wherever it is."""
    stack = own_stack(**NOTHING_ELSE)
    connect(stack).set("before", "1")
    whole = _append_only_file(stack).stat().st_size
    with connect(stack).pipeline(transaction=True) as both:
        both.set("rows", "2")
        both.set("position", "2")
        both.execute()
    stack.down()
    written = _append_only_file(stack).read_bytes()
    assert len(written) > whole
    for cut in {*range(whole, len(written), 17), len(written) - 1, len(written)}:
        _append_only_file(stack).write_bytes(written[:cut])
        stack.up()
        client = connect(stack)
        found = (client.get("before"), client.get("rows"), client.get("position"))
        assert found == ((b"1", b"2", b"2") if cut == len(written) else (b"1", None, None)), f"cut at {cut} of {len(written)}"
        client.close()
        stack.servers["redis"].kill()


def _append_only_file(stack: Stack) -> Path:
    (file,) = stack.servers["redis"].folder.glob("appendonlydir/*.incr.aof")
    return file


def test_a_full_redis_refuses_to_be_written_and_goes_on_to_be_read(own_stack: Make) -> None:
    """It drops nothing: a view without one of its rows would be wrong, and nobody would know."""
    client = connect(own_stack(**NOTHING_ELSE, redis_memory_mb=2))
    client.set("note", "kept")
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        _fill(client)
    assert client.get("note") == b"kept"


def _fill(client: redis.Redis) -> None:
    for number in range(100):
        client.set(f"filler-{number}", bytes(100_000))


def test_it_listens_on_a_socket_that_only_its_owner_reaches(redis_stack: Stack) -> None:
    """So there is no password that could be read anywhere."""
    server = server_of(redis_stack)
    assert (stat.S_IMODE(server.folder.stat().st_mode), stat.S_IMODE(server.socket.stat().st_mode)) == (0o700, 0o700)
    assert connect(redis_stack).config_get("port") == {"port": "0"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_nobody_else_comes_in_and_root_does_not_run_it(redis_stack: Stack) -> None:
    client: list[str | Path] = [install.need(install.REDIS).with_name("redis-cli"), "-s", server_of(redis_stack).socket, "ping"]
    assert process.run(client, DEVNULL) == 0
    assert process.run(client, DEVNULL, "daemon") != 0
    assert Path(f"/proc/{redis_stack.servers['redis'].pid}").stat().st_uid != 0


def test_the_settings_name_it(redis_stack: Stack) -> None:
    settings = load({"OUTCRY_PROFILE": "stack", "OUTCRY_STACK": str(redis_stack.folder)})
    assert redis.Redis.from_url(settings.redis).ping()


def test_a_folder_with_any_character_will_do(own_folder: Path) -> None:
    """A path stands in the address, not in the settings of the server."""
    stack = Stack(own_folder / 'a "b" %20 ä#?', **NOTHING_ELSE)
    try:
        stack.up()
        assert redis.Redis.from_url(load({"OUTCRY_PROFILE": "stack", "OUTCRY_STACK": str(stack.folder)}).redis).ping()
    finally:
        stack.destroy()
