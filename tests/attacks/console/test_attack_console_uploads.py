"""Archives that somebody uploads: paths out of the folder, links, bombs, lies of the directory, and names as markup."""

from __future__ import annotations

import io
import json
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from contracts.base.errors import Theirs
from contracts.folder.bundle import MAX_BYTES, MAX_FILES
from contracts.folder.zipped import MAX_ZIP, unpacked
from gateway.console.roles import Role
from gateway.journal.database import writing
from gateway.journal.schema.console_tables import console_draft
from tests.attacks.console.test_attack_console_shown import HOSTILE, MARK
from tests.attacks.console.walking import Markup, walk
from tests.console.people import HOST, Desk
from tests.console.test_contract_drafts import DRAFTS, camera, handed_in
from tests.console.zipping import MARK as BOUNDARY
from tests.console.zipping import form, upload, zipped
from tests.doors.api.client import ask
from tests.registry.making import PROVINCE

CONTRACT = {"contract.yaml": b"id: x\n"}


def written(write: Callable[[zipfile.ZipFile], None]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("contract.yaml", b"id: x\n")
        write(archive)
    return raw.getvalue()


def linked(archive: zipfile.ZipFile) -> None:
    link = zipfile.ZipInfo("schema.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(link, "/etc/passwd")


def twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("Schema.json", b"{}")
    archive.writestr("schema.json", b"{}")


def many(archive: zipfile.ZipFile) -> None:
    for number in range(MAX_FILES + 1):
        archive.writestr(f"{number}.json", b"")


def declaring_little(raw: bytes) -> bytes:
    """The directory says that the first file unpacks to one byte."""
    at = raw.index(b"PK\x01\x02")
    return raw[: at + 24] + struct.pack("<I", 1) + raw[at + 28 :]


def encrypted(raw: bytes) -> bytes:
    at = raw.index(b"PK\x01\x02")
    return raw[: at + 8] + b"\x01\x00" + raw[at + 10 :]


def overlapping() -> bytes:
    """Many entries of the directory over the bytes of one file (as in David Fifield's archives)."""
    raw = zipped({"contract.yaml": bytes(1_000_000)})
    start, end = raw.index(b"PK\x01\x02"), raw.index(b"PK\x05\x06")
    entry = raw[start:end]
    names = [b"contract.yaml", *(b"cont%02d/x.yaml" % n for n in range(89))]
    entries = b"".join(entry.replace(b"contract.yaml", name) for name in names)
    counts = struct.pack("<HHII", 90, 90, len(entries), start)
    return raw[:start] + entries + raw[end : end + 8] + counts + raw[end + 20 :]


BAD: dict[str, bytes] = {
    "a path above the folder": zipped({**CONTRACT, "../../etc/evil.yaml": b"x"}),
    "a path above the folder, within": zipped({**CONTRACT, "systems/../../evil.yaml": b"x"}),
    "an absolute path": zipped({**CONTRACT, "/etc/evil.yaml": b"x"}),
    "backslashes": zipped({**CONTRACT, "systems\\..\\..\\evil.yaml": b"x"}),
    "a line feed in a name": zipped({**CONTRACT, "a\nb.yaml": b"x"}),
    "a doubled slash": zipped({**CONTRACT, "systems//a.yaml": b"x"}),
    "a link": written(linked),
    "one name twice but for its case": written(twice),
    "too many files": written(many),
    "two contracts": zipped({"a/contract.yaml": b"", "b/contract.yaml": b""}),
    "no contract": zipped({"schema.json": b"{}"}),
    "no archive": b"PK\x03\x04 and nothing",
    "nothing": b"x",
    "only its beginning": zipped(CONTRACT)[:-10],
    "an encrypted file": encrypted(zipped(CONTRACT)),
    "a file that unpacks to too much": zipped({**CONTRACT, "schema.json": bytes(MAX_BYTES + 1)}),
    "files that unpack to too much together": zipped(
        {**CONTRACT, **{f"{n}.json": bytes(2_000_000) for n in range(40)}}
    ),
    "a file larger than it declares": declaring_little(zipped({"contract.yaml": bytes(1_000)})),
    "files over one another": overlapping(),
    "too long": bytes(MAX_ZIP + 1),
}


@pytest.mark.attack("zip")
@pytest.mark.parametrize("name", BAD)
def test_a_hostile_archive_is_refused_at_little_cost(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Theirs) as caught:
            unpacked(BAD[name])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code == "contract.invalid" and len(caught.value.findings) == 1
    assert most < 3 * MAX_BYTES + len(BAD[name])


@pytest.mark.attack("zip")
async def test_nothing_of_a_refused_upload_is_kept(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    for name, raw in BAD.items():
        answer = await upload(tu, f"{DRAFTS}/new", "archive", raw)
        assert answer.status in (400, 422) and b"Places to mend" in answer.body or answer.status == 400, name
    for content in (form({}, "archive", b"x")[:-30], form({}, "archive", b"x").replace(b'"archive"', b'"other"')):
        headers = {"host": HOST, "origin": f"https://{HOST}", "cookie": tu.cookie}
        headers["content-type"] = f"multipart/form-data; boundary={BOUNDARY}"
        answer = await ask(people.app, "POST", f"{DRAFTS}/new", headers, content)
        assert answer.status in (400, 403)
    with people.world.engine.connect() as connection:
        assert connection.execute(select(console_draft)).all() == []


@pytest.mark.attack("csrf")
async def test_a_form_with_a_file_of_another_site_does_nothing(people: Desk) -> None:
    tu = await people.signed_in("tu", Role.STEWARD)
    raw = zipped(camera("1.2.0").files, "v1")
    own = {"host": HOST, "cookie": tu.cookie, "content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    for fields, origin in (({"csrf": "x" * 64}, f"https://{HOST}"), ({}, "https://evil.example")):
        answer = await ask(people.app, "POST", f"{DRAFTS}/new", {**own, "origin": origin}, form(fields, "archive", raw))
        assert answer.status == 403 and b"console.origin" in answer.body
    with people.world.engine.connect() as connection:
        assert connection.execute(select(console_draft)).all() == []


@pytest.mark.full
@pytest.mark.attack("xss")
async def test_names_and_texts_of_an_upload_stay_text(people: Desk) -> None:
    """Of files, of folders, of the archive, and within the contract; in what is refused and in what is kept."""
    tu = await people.signed_in("tu", *Role)
    hostile = HOSTILE.replace("/", "|").replace("\u2028", "")
    files = camera("1.2.0").files
    seen = 0
    for raw in (
        zipped({**CONTRACT, f"{hostile}.yaml": b"x"}),
        zipped({"contract.yaml": b"id: |\n  " + HOSTILE.encode()}),
        zipped(files, f"a/{hostile}"),
        zipped({**files, f"systems/{hostile}.yaml": b"x: y"}, "v1"),
        zipped(
            {**files, "contract.yaml": files["contract.yaml"].replace(b"id: camera-event", f"id: '{MARK}<b>'".encode())}
        ),
        zipped(
            {**files, "schema.json": files["schema.json"].replace(b"Camera", f"<img src=x onerror={MARK}()>".encode())}
        ),
    ):
        answer = await upload(tu, f"{DRAFTS}/new", "archive", raw, called=hostile)
        page = Markup(answer.body)
        assert answer.status in (303, 422) and page.faults(MARK) == [], page.faults(MARK)
        seen += MARK.encode() in answer.body
    assert seen >= 2, "some of it was shown"
    at = await handed_in(tu, camera("1.2.0"))
    with writing(people.world.engine) as connection:
        row = console_draft
        texts = {"reason": HOSTILE, "why": HOSTILE, "actor": HOSTILE, "decided_by": HOSTILE, "account": HOSTILE}
        connection.execute(update(row).values(**texts, contract=HOSTILE, version=HOSTILE, accepted=f'["{MARK}<b>"]'))
    walked = await walk(tu, at.rpartition("/")[2])
    assert MARK.encode() in walked[at].body and MARK.encode() in walked[DRAFTS].body
    for target, answer in walked.items():
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert Markup(answer.body).faults(MARK) == [], target


@pytest.mark.attack("xss")
async def test_names_and_texts_of_a_registry_document_stay_text(people: Desk) -> None:
    """In its faults, in the preview, and in the form that sends it back."""
    lan = await people.signed_in("lan", *Role)
    quoted = json.dumps(HOSTILE)
    office = 'office: "Phòng Hạ tầng đô thị"'
    for text in (
        PROVINCE.replace(office, f"office: {quoted}"),
        PROVINCE.replace("system: do-thi", f"system: {quoted}"),
        PROVINCE.replace("code: H14.3", f"code: {quoted}"),
        PROVINCE.replace("\nroutes:", f"\n{quoted}: x\nroutes:"),
        f"</textarea><{MARK}>",
        f"{quoted}: [",
    ):
        assert text != PROVINCE
        answer = await upload(lan, "/console/registry/document", "file", text.encode(), HOSTILE, document=HOSTILE)
        page = Markup(answer.body)
        assert answer.status in (200, 400, 422) and page.faults(MARK) == [], (text[:60], page.faults(MARK))
        assert answer.status == 400 or MARK.encode() in answer.body, text[:60]
