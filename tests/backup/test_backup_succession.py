"""What a witness of the old log makes of the new one: nothing by itself, and with proof only when a person says so."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.audit.log import proofs
from gateway.backup.succession import Known
from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
from gateway.client.client import AsyncClient
from gateway.client.errors import LogObjection
from gateway.client.identities.succession import accept, ask, check
from gateway.doors.api.audit import _consistency, _origin
from security.transparency.checkpoint import NoteKey
from tests.backup.conftest import Instance


@dataclass
class Who:
    log_key: NoteKey
    folder: Path


@dataclass
class Reader:
    """A client as far as it asks for documents: they are the gateway's own answers, of an instance of the test's."""

    identity: Who
    witness: CheckpointMonitor
    instance: Instance

    async def document(self, path: str) -> bytes:
        parts = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        settings, engine = self.instance.settings, self.instance.engine
        said: dict[str, Any]
        if parts.path == "/audit/origin":
            said = _origin(engine, asked.get("origin"), settings.origin, self.instance.vkey)
        else:
            found = _consistency(engine, int(asked["from"]), int(asked["to"]), asked["origin"])
            said = {"proof": [base64.b64encode(each).decode() for each in found.hashes]}
        return json.dumps(said).encode()


def reader(instance: Instance, folder: Path, key: NoteKey) -> AsyncClient:
    folder.mkdir(exist_ok=True)
    (folder / "log.vkey").write_text(key.text() + "\n")
    witness = CheckpointMonitor(key, folder / "checkpoints", time.time)
    return cast(AsyncClient, Reader(Who(key, folder), witness, instance))


async def fetch_of(instance: Instance, old: int, new: int) -> tuple[bytes, ...]:
    with instance.engine.connect() as connection:
        return proofs.consistency(connection, old, new).hashes


def test_a_witness_is_led_to_the_new_log_and_keeps_what_it_held(lite: Instance, tmp_path: Path) -> None:
    old = NoteKey.from_text(lite.vkey)
    early, folder = lite.exchange(3), lite.back_up(tmp_path / "copy")
    late = lite.exchange(2)
    lite.lose()
    _done, again = lite.restore(folder, tmp_path / "new", outside=(Known("late", late),))
    again.exchange(2)
    for name, held in (("early", early), ("late", late), ("none", None)):
        client = reader(again, tmp_path / name, old)
        if held is not None:
            client.witness.begin(held)
        with pytest.raises(LogObjection) as objected:  # never silently
            asyncio.run(client.witness.see(again.note, lambda _old, _new: fetch_of(again, 0, 0)))
        assert objected.value.code == "client.log-other"
        (first,) = asyncio.run(ask(client))
        assert (
            first.signed_by_old_key and first.key.text() == again.vkey and (first.held, first.reason) == (7, "missing")
        )
        assert not first.denies(client.witness.kept) and first.lost(client.witness.kept) > 0
        kept = accept(client, None, (first,))
        assert NoteKey.from_text(kept.read_text()) == old and (client.witness.note or None) == held
        anew = CheckpointMonitor(
            NoteKey.from_text((tmp_path / name / "log.vkey").read_text()), tmp_path / name / "checkpoints", time.time
        )
        again.exchange(1)
        asyncio.run(anew.see(again.note, lambda older, newer: fetch_of(again, older, newer)))
        assert anew.note == again.note and not anew.objections


def test_a_new_log_that_does_not_follow_is_objected_to(lite: Instance, tmp_path: Path) -> None:
    old = NoteKey.from_text(lite.vkey)
    lite.exchange(3)
    folder = lite.back_up(tmp_path / "copy")
    late = lite.exchange(2)
    lite.lose()
    _done, again = lite.restore(folder, tmp_path / "new")  # the operators know of no later checkpoint
    client = reader(again, tmp_path / "late", old)
    client.witness.begin(late)
    (first,) = asyncio.run(ask(client))
    assert first.denies(client.witness.kept), "the gateway does not own up to what this system saw"
    said = _origin(again.engine, None, again.settings.origin, again.vkey)
    stranger, before = NoteKey.make("other", old.public), said["before"]
    forged = json.loads(base64.b64decode(before["entry"]))
    forged["facts"]["held"] = 99
    wrong = {
        "another log before it": (said, stranger),
        "another key": (said | {"vkey": old.text()}, old),
        "an entry that is not in it": (
            said | {"before": before | {"entry": base64.b64encode(json.dumps(forged).encode()).decode()}},
            old,
        ),
        "no proof": (said | {"before": before | {"proof": [base64.b64encode(bytes(32)).decode()]}}, old),
        "another beginning": (said | {"before": before | {"began": said["checkpoint"].replace("\n1\n", "\n2\n")}}, old),
        "nothing before it": ({name: value for name, value in said.items() if name != "before"}, old),
    }
    check(json.dumps(said).encode(), old)
    for name, (lie, key) in wrong.items():
        with pytest.raises(ValueError):
            check(json.dumps(lie).encode(), key)
            pytest.fail(name)


def test_a_chain_of_two_new_logs(lite: Instance, tmp_path: Path) -> None:
    old = NoteKey.from_text(lite.vkey)
    lite.exchange(1)
    folder = lite.back_up(tmp_path / "copy")
    lite.lose()
    _done, second = lite.restore(folder, tmp_path / "second")
    second.exchange(1)
    folder = second.back_up(tmp_path / "copy-2")
    second.lose()
    _done, third = second.restore(folder, tmp_path / "third")
    client = reader(third, tmp_path / "who", old)
    chain = asyncio.run(ask(client))
    assert [each.key.name for each in chain] == [f"{old.name}/2", f"{old.name}/3"] and all(
        each.signed_by_old_key for each in chain
    )
    client = reader(third, tmp_path / "now", NoteKey.from_text(third.vkey))
    assert asyncio.run(ask(client)) == ()
