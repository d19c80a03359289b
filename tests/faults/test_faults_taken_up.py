"""A door that dies over a call leaves the caller's name in the log; a process that hangs is ended, and says where it
stood."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.story.world import World
from gateway.doors.http.listening import bind
from gateway.settings import Settings
from security.keys import thumbprint
from tests.attacks.raw import connect, head, loaded
from tests.faults.load import gone, until
from tests.stored import rows

pytestmark = pytest.mark.server
SECONDS = 2  # in which a silent loop is ended, where that is tried
PATIENT = 60  # on a machine that is busy with other tests
PATH, SIZE = "/incident-alert/v1/alerts", 4_321


@contextmanager
def door(settings: Settings, *how: str, silent: int = PATIENT) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A further door of the instance; the process and its port."""
    listener = bind("127.0.0.1", 0)
    ready, told = os.pipe()
    command = [sys.executable, "-m", "tests.faults.hung", str(settings.data), str(listener.fileno()), str(told), *how]
    process = subprocess.Popen(
        command, pass_fds=[listener.fileno(), told], env={**os.environ, "LGSP_SILENT_SECONDS": str(silent)}
    )
    os.close(told)
    try:
        with listener:
            port = listener.getsockname()[1]
            assert os.read(ready, 16) == b"ready\n"
        os.close(ready)
        yield process, port
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextmanager
def half_a_call(
    world: World, system: str, port: int, monkeypatch: pytest.MonkeyPatch, path: str = PATH, *, whole: bool = False
) -> Iterator[None]:
    """A registered system sends a head and half a body, and waits."""
    identity = loaded(world.identities / system)
    monkeypatch.setattr("tests.attacks.raw.port_of", lambda _: port)
    with connect(identity) as sock:
        sock.sendall(
            head("POST", path, [("content-length", str(SIZE)), ("content-type", "application/json")])
            + b"[" * (SIZE if whole else SIZE // 2)
        )
        yield


def register_of(settings: Settings, pid: int) -> Path | None:
    """The register of a process, by what its header says."""
    for path in (settings.run / "taken-up").glob("door-*"):
        if f'"pid": {pid},'.encode() in path.read_bytes()[:512]:
            return path
    return None


def in_hand(settings: Settings, pid: int) -> Any:
    path = register_of(settings, pid)
    return path if path is not None and PATH.encode() in path.read_bytes() else None


def entries(settings: Settings, process: str) -> list[dict[str, Any]]:
    found = rows(
        settings,
        "select entry from log_entry where phase = 'taken-up' union all select entry from log_pending "
        "where phase = 'taken-up'",
    )
    return [told for (raw,) in found if (told := json.loads(raw))["facts"]["process"] == process]


def of_process(settings: Settings, pid: int) -> str:
    return str(rows(settings, f"select id from process where pid = {pid} order by started desc limit 1")[0][0])


def searched(world: World, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.lgsp("audit", "search", "--data", str(world.data), *words)["entries"]
    return found


def test_a_door_that_is_killed_names_who_was_in_hand(
    instance: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = loaded(world.identities / "bao-chay")
    with door(instance) as (process, port), half_a_call(world, "bao-chay", port, monkeypatch):
        until("the call in hand", lambda: in_hand(instance, process.pid), 20)
        name = of_process(instance, process.pid)
        process.send_signal(signal.SIGSTOP)  # nothing of it can tidy up
        process.kill()
        process.wait()
    (entry,) = until("the entry", lambda: entries(instance, name))
    facts = entry["facts"]
    certificate = thumbprint(loaded_certificate(identity))
    assert entry["actor"] == f"{identity.agency}/bao-chay"
    assert (facts["source"], facts["certificate"], facts["method"], facts["path"], facts["size"]) == (
        "127.0.0.1", certificate, "POST", PATH, SIZE,
    )  # fmt: skip
    assert facts["failure"] == "process.died" and facts["seconds"] >= 0
    until("the end of the register", lambda: not (instance.run / "taken-up" / name).exists())
    (hit,) = until(
        "the index of it",
        lambda: [
            each
            for each in searched(world, "--agency", identity.agency, "--kind", "taken-up")
            if name in each["detail"]
        ],
    )
    assert hit["system"] == "bao-chay" and hit["outcome"] == "failed" and hit["source"] == "127.0.0.1"
    for word in (PATH, str(SIZE), certificate):
        assert word in hit["detail"]
    (journey,) = world.lgsp("audit", "journey", hit["transfer"], "--data", str(world.data))["journeys"]
    assert [step["kind"] for step in journey["steps"]] == ["taken-up"]
    assert len(entries(instance, name)) == 1
    assert world.lgsp("audit", "verify", "--data", str(world.data))["ok"]


def loaded_certificate(identity: Any) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    return x509.load_pem_x509_certificate((identity.folder / "tls.crt").read_bytes()).public_bytes(Encoding.DER)


@pytest.mark.full
def test_a_door_whose_loop_hangs_in_c_is_ended_and_says_why(
    instance: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = instance.data / "demo.log"
    with (
        door(instance, "hang", silent=SECONDS) as (process, port),
        half_a_call(world, "y-te", port, monkeypatch, whole=True),
    ):
        until("the call in hand", lambda: in_hand(instance, process.pid), 20)
        name = of_process(instance, process.pid)
        assert process.wait(60) == 1
    (entry,) = until("the entry", lambda: entries(instance, name))
    assert entry["facts"]["failure"] == "process.silent" and entry["actor"].endswith("/y-te")
    told = until(
        "the trace",
        lambda: [line for line in log.read_text("utf-8", "replace").splitlines() if name in line and "hung.py" in line],
    )
    assert "_hang" in told[0]
    assert rows(
        instance,
        f"select 1 from log_entry where phase = 'process-ended' and transfer = '{name.partition('-')[2]}'",
    ) or until(
        "the end in the log",
        lambda: rows(
            instance,
            f"select 1 from log_entry where phase = 'process-ended' and transfer = '{name.partition('-')[2]}'",
        ),
    )


@pytest.mark.full
def test_a_door_that_was_taken_for_dead_names_who_was_in_hand(
    instance: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on after it was fenced, and ends by itself: it could write no entry any more."""
    with door(instance, silent=0) as (process, port), half_a_call(world, "phan-anh", port, monkeypatch):
        until("the call in hand", lambda: in_hand(instance, process.pid), 20)
        name = of_process(instance, process.pid)
        process.send_signal(signal.SIGSTOP)
        until(
            "its being fenced",
            lambda: rows(instance, f"select 1 from process where id = '{name}' and state = 'dead'"),
        )
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
    (entry,) = until("the entry", lambda: entries(instance, name))
    assert (
        entry["facts"]["failure"] == "process.died"
        and entry["actor"].endswith("/phan-anh")
        and entry["facts"]["seconds"] >= 9
    )


def test_a_door_that_ends_in_order_leaves_nothing(instance: Settings) -> None:
    with door(instance) as (process, _port):
        path = register_of(instance, process.pid)
        assert path is not None and path.stat().st_mode & 0o777 == 0o600
        process.terminate()
        assert process.wait(60) == 0
    assert not path.exists() and gone(process.pid) and not entries(instance, path.name)
