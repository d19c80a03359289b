"""No secret and no content in what people read: logs of the processes, problem documents, Faults, the audit log,
commands, the database's files.

Marked values are sent in every place that a message has, rightly and wrongly; then everything that the instance wrote
is searched for them, and for its private keys, tokens and secrets.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import text

from examples.story.world import World
from gateway.journal.database import open_engine
from gateway.processes.supervisor import PID
from gateway.sample_client.rest import Prepared
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from gateway.signals.lines import PlainTraces
from tests import commandline
from tests.attacks.raw import ask, of
from tests.faults.load import children

MARK = "mat-ma-" + uuid.uuid4().hex
ALERTS = "/incident-alert/v1/alerts"


def test_traces_say_where_and_not_what() -> None:
    """An exception's words may quote a citizen's name."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(PlainTraces("%(levelname)s %(message)s"))
    log = logging.Logger("trial")
    log.addHandler(handler)
    try:
        try:
            dict[str, int]()[MARK]
        except KeyError as first:
            raise ValueError(f"no such person: {MARK}") from first
    except ValueError:
        log.exception("transfer %s: unexpected fault", "01")
    told = out.getvalue()
    assert (
        MARK not in told.replace("{}[MARK]", "")
        and "KeyError" in told
        and "ValueError" in told
        and "test_traces_say_where" in told
    )


def test_the_database_does_not_quote_what_it_was_given(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.connect() as connection, pytest.raises(Exception, match="no such table") as caught:
        connection.execute(text("select * from nowhere where a = :a"), {"a": MARK})
    assert MARK not in str(caught.value)
    engine.dispose()


def sent(world: World) -> Iterator[bytes]:
    """Marked values in every place, and what came back."""
    fire = messages.fire_alarm()
    client, who = world.rest("bao-chay"), world.identity("bao-chay")

    def rest(message: Any, **how: Any) -> bytes:
        raw = message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False).encode()
        told = ask(who, of(client.prepare("POST", ALERTS, raw, **how)))
        assert told is not None
        return told.body

    yield rest({**fire, "ghiChu": MARK})  # taken
    yield rest({**fire, "tinhChat": MARK})  # of another type
    yield rest({**fire, "thoiGian": MARK, "chiTiet": MARK})
    yield rest({**fire, "ghiChu": MARK * 2_000})  # too long
    yield rest(f'{{"a": "{MARK}" "b"}}'.encode())  # no JSON
    yield rest(MARK.encode())
    yield rest(fire, token=MARK)
    yield rest(fire, headers={"authorization": f"Basic {MARK}"})
    yield rest({**fire, "ghiChu": MARK}, mutate=lambda headers, body: (headers, body + b" "))
    question = f"/indicator/v1/values?indicator={MARK}&area=04&period=2026-Q3"
    told = ask(world.identity("y-te"), of(world.rest("y-te").prepare("GET", question)))
    assert told is not None
    yield told.body
    for change in (b"<cap:note>", b"<cap:status>", b"<cap:sent>"):
        body = messages.cap_alert().replace(change, change + MARK.encode(), 1)
        prepared = world.soap("canh-bao").prepare("incident-alert/v1", "submitAlert", body).request
        told = ask(world.identity("canh-bao"), of(prepared))
        assert told is not None
        yield told.body
    spoiled = Prepared("POST", prepared.path, prepared.target, prepared.headers, prepared.body + MARK.encode())
    told = ask(world.identity("canh-bao"), of(spoiled))
    assert told is not None
    yield told.body
    form = client.token_request()
    for body in (
        form.body + f"&client_assertion={MARK}".encode(),
        f"grant_type={MARK}&client_assertion_type=a&client_assertion=b".encode(),
    ):
        told = ask(who, of(Prepared("POST", form.path, form.target, form.headers, body)))
        assert told is not None
        yield told.body
    status = {**messages.dossier_status(), "ChuHoSo": MARK}
    yield world.rest("mot-cua").call("POST", "/dossier-status/v1/statuses", status, encrypt_it=True).body


def secrets_of(settings: Settings, world: World) -> dict[str, bytes]:
    """A part of each private key and secret of the instance and of its systems, long enough to be nobody else's."""
    found: dict[str, bytes] = {
        "a value of a message": MARK.encode(),
        "the same in base64": base64.b64encode(MARK.encode())[:24],
    }
    places = [
        *settings.keys.rglob("*"),
        *settings.authority.rglob("*.key"),
        *settings.identities.rglob("*.key"),
        *settings.data.rglob("secret*"),
    ]
    for path in places:
        if not path.is_file() or path.suffix in (".crt", ".pem", ".vkey", ".json"):
            continue
        raw = path.read_bytes().strip()
        lines = raw.splitlines()
        part = (
            lines[1]
            if raw.startswith(b"-----BEGIN") and b"PRIVATE" in lines[0]
            else raw
            if b"CERTIFICATE" not in raw
            else b""
        )
        if len(part) >= 16:
            found[str(path.relative_to(settings.data))] = part
    for name in ("y-te", "bao-chay", "mot-cua"):
        found[f"an access token of {name}"] = world.rest(name).token().encode()
    return found


@pytest.mark.server
@pytest.mark.attack("secrets")
def test_no_secret_in_what_people_read(world: World, instance: Settings) -> None:
    answers = list(sent(world))
    assert len(answers) >= 15
    for answer in answers:
        assert MARK.encode() not in answer, answer[:2_000]
        if answer[:1] == b"<":
            etree.fromstring(answer)
    time.sleep(1.5)  # the log is sequenced, sums are written
    secrets = secrets_of(instance, world)
    assert len(secrets) > 40, sorted(secrets)

    read: dict[str, bytes] = {"the processes' log": (instance.data / "demo.log").read_bytes()}
    for words in (
        ["registry", "show"],
        ["registry", "keys"],
        ["keys", "show"],
        ["doctor"],
        ["access", "list"],
        ["queue", "list"],
    ):
        done = commandline.forked(*words, "--data", str(instance.data))
        read[f"lgsp {' '.join(words)}"] = (done.out + done.err).encode()
    for path in instance.data.glob("lgsp.db*"):
        read[path.name] = path.read_bytes()
    told = world.lgsp("audit", "export", str(instance.data / "exported"), "--data", str(instance.data))
    assert told
    for path in (instance.data / "exported").rglob("*"):
        if path.is_file():
            read[f"the exported log, {path.name}"] = path.read_bytes()
    found = [f"{what} in {where}" for where, data in read.items() for what, secret in secrets.items() if secret in data]
    assert not found, found
    assert all(read.values()) or not read["the processes' log"], [name for name, data in read.items() if not data]


@pytest.mark.server
def test_a_process_that_crashes_leaves_no_memory_on_disk(instance: Settings) -> None:
    own = children(int((instance.run / PID).read_text("ascii")))
    found = {kind: pid for pid, words in own.items() for kind in ("door", "keeper", "desk", "files") if kind in words}
    assert len(found) == 4
    for pid in found.values():
        (line,) = [
            each
            for each in Path(f"/proc/{pid}/limits").read_text("ascii").splitlines()
            if each.startswith("Max core file size")
        ]
        assert line.split()[4:6] == ["0", "0"]
