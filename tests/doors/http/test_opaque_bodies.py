"""Files beside documents: uploaded in bounded memory, named by a document, fetched by those who may see it only."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from contracts.base.ids import new_id
from contracts.wire.body_references import BodyReference
from gateway.cli.tree import app
from gateway.client import Client, Identity
from gateway.client.errors import NoConnection, NotProven, Refused
from gateway.sandbox.standins import messages
from tests.attacks import raw
from tests.doors.http.town import MIB, PATH, Town, forget_peak, memory, noise, town

pytestmark = pytest.mark.server
CONTRACT, OPERATION = "official-document/v1", "sendDocument"
UPLOAD = f"/bodies?contract={CONTRACT}&operation={OPERATION}"
SIZE = 1 << 30 if os.environ.get("LGSP_TEST_SIZE") == "full" else 96 * MIB


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("bodies"), agency_processor=20.0, opaque_bodies=2 * SIZE) as made:
        yield made


def rows(town: Town, query: str, *of: object) -> list[Any]:
    base = sqlite3.connect(f"file:{town.settings.data / 'lgsp.db'}?mode=ro", uri=True, timeout=60)
    try:
        return base.execute(query, of).fetchall()
    finally:
        base.close()


def kit(town: Town, name: str = "phan-anh") -> Client:
    return Client(Identity.load(town.settings.identities / name), seconds=60.0)


def written(folder: Path, size: int) -> Path:
    file = folder / "sent"
    block = noise(MIB)
    with file.open("wb") as out:
        for number in range(size // MIB):
            out.write(block[number % 7 :] + block[: number % 7])
        out.write(noise(size % MIB))
    return file


def digest(file: Path) -> str:
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


def test_a_file_goes_to_the_receiver_of_its_document(bodies: Town, tmp_path: Path) -> None:
    """In bounded memory: the door grows by 64 MiB at most, whatever the size."""
    file = written(tmp_path, SIZE - 4321)
    small = tmp_path / "small"
    small.write_bytes(b"x" * 10)
    with kit(bodies) as sender, kit(bodies, "van-thu") as receiver:
        sender.send_file(small, CONTRACT, OPERATION)  # what a first call makes is there
        (door,) = bodies.doors()
        forget_peak(door)
        before = memory(door, "VmRSS")
        sent = sender.send_file(file, CONTRACT, OPERATION, media_type="video/mp4")
        up = memory(door, "VmHWM") - before
        answer = sender.rest("POST", PATH, bodies.document | {"content": sent.reference})
        assert bodies.records.documents[-1]["content"] == sent.reference
        transfer = answer.headers["lgsp-transfer"]
        forget_peak(door)
        before = memory(door, "VmRSS")
        assert receiver.fetch_file(transfer, sent.reference, tmp_path / "fetched") == SIZE - 4321
        down = memory(door, "VmHWM") - before
        assert digest(tmp_path / "fetched") == sent.sha256 == digest(file)
        print(f"{SIZE} bytes: a door grew by {up} up, {down} down")
        assert up <= 64 * MIB and down <= 64 * MIB
        for other in ("canh-bao", "thuc-phan"):
            with kit(bodies, other) as nobody, pytest.raises(Refused) as no:
                nobody.fetch_file(transfer, sent.reference, tmp_path / "never")
            assert (no.value.status, no.value.code) == (404, "body.unknown")


def refused(client: Client, document: dict[str, Any]) -> tuple[int, str, list[str]]:
    with pytest.raises(Refused) as no:
        client.rest("POST", PATH, document)
    return no.value.status, no.value.code, [each.canonical for each in no.value.findings]


@pytest.mark.attack("access: by a file")
def test_a_document_names_only_what_its_agency_uploaded_for_it(bodies: Town, tmp_path: Path) -> None:
    file = tmp_path / "sent"
    file.write_bytes(b"a dossier")
    with kit(bodies) as sender, kit(bodies, "canh-bao") as other:
        mine = sender.send_file(file, CONTRACT, OPERATION).reference
        elsewhere = sender.send_file(file, "field-report/v1", "createRequest").reference
        theirs = other.send_file(file, "incident-alert/v1", "submitAlert").reference
        came, head = len(bodies.records.came), mine.rpartition(":")[0]
        unknown = f"urn:lgsp:body:{new_id()}:9:{mine[-64:]}"
        for wrong in (elsewhere, theirs, unknown, f"{head}:{'0' * 64}", mine.replace(":9:", ":8:")):
            told = refused(sender, bodies.document | {"content": wrong})
            assert told == (422, "body.not-yours", ["content"]), wrong
        places = {"content": mine, "toPlaces": [mine] * 40}
        assert refused(sender, bodies.document | places)[:2] == (422, "body.not-yours")
        assert len(bodies.records.came) == came
        for text in (f"see {mine}", f"{mine} ", mine.upper(), "urn:lgsp:body:x"):  # texts, not references
            assert sender.rest("POST", PATH, bodies.document | {"content": text}).status == 200
        answer = sender.rest("POST", PATH, bodies.document | {"content": mine}, message_id="names-a-file")
        other_document = sender.rest("POST", PATH, bodies.document | {"content": mine, "toPlaces": [mine]})
        again = sender.rest("POST", PATH, bodies.document | {"content": mine}, message_id="names-a-file")
        assert again.json() == answer.json()
        uses = rows(bodies, "select transfer from opaque_use where body = ?", mine.split(":")[3])
        assert {use for (use,) in uses} == {each.headers["lgsp-transfer"] for each in (answer, other_document)}


@pytest.mark.attack("large bodies")
@pytest.mark.parametrize("end", ["closed", "killed"])
def test_an_upload_that_ends_half_way_does_not_count(bodies: Town, tmp_path: Path, end: str) -> None:
    """Whether its sender leaves, or its door is killed: nothing is told to the log, and no document can name it."""
    client, data = bodies.client(), noise(20 * MIB)
    prepared = raw.of(client.prepare("POST", UPLOAD, data, message_id="", content_type="video/mp4"))
    sock = raw.connect(client.identity)
    sock.sendall(prepared[: len(prepared) - 5 * MIB])
    until = time.monotonic() + 60
    known = "select id from opaque_body where size = ?"
    while not (found := rows(bodies, known, len(data))) or not rows(
        bodies, "select 1 from vault where id = ?", f"{found[0][0]}/body.3"
    ):
        assert time.monotonic() < until
        time.sleep(0.05)
    body = found[0][0]
    if end == "killed":
        os.kill(bodies.doors()[0], signal.SIGKILL)
    sock.close()
    if end == "closed":
        while rows(bodies, known, len(data)):
            assert time.monotonic() < until
            time.sleep(0.05)
    reference = f"urn:lgsp:body:{body}:{len(data)}:{hashlib.sha256(data).hexdigest()}"
    with kit(bodies) as sender:
        while True:
            try:
                assert refused(sender, bodies.document | {"content": reference})[:2] == (422, "body.not-yours")
                break
            except NoConnection:
                assert time.monotonic() < until
                time.sleep(0.2)
    assert rows(bodies, "select 1 from vault where id = ?", f"{body}/body") == []
    for table in ("log_pending", "log_entry"):
        assert rows(bodies, f"select 1 from {table} where transfer = ? and phase = 'opaque-body'", body) == []


def event_of(reader: Client, contract: str, transfer: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while True:
        for page in reader.pages(contract):
            for event in page.events:
                if event["id"] == transfer:
                    return cast(dict[str, Any], event["data"])
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.full
def test_files_of_encrypted_contracts_are_encrypted_on_all_ways(bodies: Town, tmp_path: Path) -> None:
    """REST and SOAP documents, the kit, the commands: in bounded memory, and nothing of the file in clear."""
    file, contract, size = written(tmp_path, SIZE // 2 - 4321), "dossier-status/v1", SIZE // 2 - 4321
    small, fetched = tmp_path / "small", tmp_path / "fetched"
    small.write_bytes(noise(70_000))
    with kit(bodies, "mot-cua") as sender, kit(bodies, "mot-cua-xa") as by_soap, kit(bodies, "dieu-hanh") as centre:
        sender.send_file(small, contract, "submitStatus")
        (door,) = bodies.doors()
        forget_peak(door)
        before = memory(door, "VmRSS")
        sent = sender.send_file(file, contract, "submitStatus", media_type="video/mp4")
        up = memory(door, "VmHWM") - before
        assert sent.sha256 == digest(file)
        status = messages.dossier_status() | {"NoiDungXuLy": sent.reference}
        transfer = sender.rest("POST", "/dossier-status/v1/statuses", status).headers["lgsp-transfer"]
        assert event_of(centre, contract, transfer)["dossier"]["note"] == sent.reference
        forget_peak(door)
        before = memory(door, "VmRSS")
        assert centre.fetch_file(transfer, sent.reference, fetched) == size
        down = memory(door, "VmHWM") - before
        assert digest(fetched) == sent.sha256
        print(f"{size} bytes, encrypted: a door grew by {up} up, {down} down")
        assert up <= 64 * MIB and down <= 64 * MIB
        reference = by_soap.send_file(small, contract, "submitStatus").reference
        element = messages.dossier_status_xml(event=new_id())
        text = "Bổ sung trích lục bản đồ thửa đất số 118.".encode()
        assert element.count(text) == 1
        action = "urn:caobang:mot-cua:1:DongBoHoSo"
        by_soap.soap(contract, element.replace(text, reference.encode()), action=action)
        ((use,),) = rows(bodies, "select transfer from opaque_use where body = ?", reference.split(":")[3])
        assert event_of(centre, contract, use)["dossier"]["note"] == reference
        assert centre.fetch_file(use, reference, fetched) == 70_000 and digest(fetched) == digest(small)
        with pytest.raises(Refused) as theirs:  # another agency's
            sender.rest("POST", "/dossier-status/v1/statuses", status | {"MaCapNhat": "x", "NoiDungXuLy": reference})
        assert (theirs.value.status, theirs.value.code) == (422, "body.not-yours")
        who = ("--identity", str(bodies.settings.identities / "dieu-hanh"), "--json")
        command = ["client", "file-fetch", transfer, sent.reference, str(tmp_path / "by-command"), *who]
        told = CliRunner().invoke(app, command)
        assert told.exit_code == 0 and digest(tmp_path / "by-command") == sent.sha256, told.output


def test_the_commands_send_and_fetch(bodies: Town, tmp_path: Path) -> None:
    file, to = tmp_path / "video.mp4", tmp_path / "fetched.mp4"
    file.write_bytes(noise(300_000))
    who, runner = ("--identity", str(bodies.settings.identities / "phan-anh"), "--json"), CliRunner()
    send = ("client", "file-send", str(file), CONTRACT, OPERATION, "--media-type", "video/mp4", *who)
    sent = runner.invoke(app, send)
    assert sent.exit_code == 0, sent.output
    reference = json.loads(sent.output)["reference"]
    with kit(bodies) as sender:
        transfer = sender.rest("POST", PATH, bodies.document | {"content": reference}).headers["lgsp-transfer"]
    fetched = runner.invoke(app, ["client", "file-fetch", transfer, reference, str(to), *who])
    assert fetched.exit_code == 0 and to.read_bytes() == file.read_bytes(), fetched.output
    assert runner.invoke(app, ["client", "file-fetch", transfer, "urn:x", str(to), *who]).exit_code != 0


def test_a_file_of_no_bytes_is_none(bodies: Town, tmp_path: Path) -> None:
    """The door takes none in, and the kit asks it also for a reference to none."""
    empty, to = tmp_path / "empty", tmp_path / "fetched"
    empty.touch()
    with kit(bodies) as sender:
        with pytest.raises(Refused) as no:
            sender.send_file(empty, CONTRACT, OPERATION)
        assert no.value.code == "body.no-length"
        sent = sender.send_file(written(tmp_path, 10), CONTRACT, OPERATION)
        transfer = sender.rest("POST", PATH, bodies.document | {"content": sent.reference}).headers["lgsp-transfer"]
        body = sent.reference.split(":")[3]
        for named, error in ((new_id(), Refused), (body, NotProven)):  # there is none; it has other bytes
            with pytest.raises(error):
                sender.fetch_file(transfer, str(BodyReference(named, 0, digest(empty))), to)
        assert not to.exists() and not (tmp_path / "fetched.part").exists()
