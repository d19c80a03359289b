"""Files beside documents by an agent: what an old system sends and fetches plainly is signed, encrypted where asked,
compared and bounded, and nothing of it stays on the host."""

from __future__ import annotations

import hashlib
import json
import re
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from bench.ports import free_port
from contracts.base.ids import new_id
from tests.agent.agents import Agent, Road, Told, wait
from tests.doors.http.town import MIB, PATH, Town, forget_peak, memory, noise, town

pytestmark = [pytest.mark.full, pytest.mark.server]
CONTRACT = "official-document/v1"
UPLOAD = f"/bodies?contract={CONTRACT}&operation=sendDocument"
DOSSIERS = "dossier-status/v1"
SAMPLE = (
    Path(__file__).parents[2] / "contracts/catalogue/dossier-status/v1/samples/mot-cua-xml/DossierStatus.dat-dai.xml"
)
SIZE = 64 * MIB + 4321


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("files"), agency_processor=20.0, opaque_bodies=8 * SIZE) as made:
        yield made


@pytest.fixture(scope="module")
def agent(documents: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Agent]]:
    made: list[Agent] = []

    def start(system: str, *, connect: str | None = None, **changes: object) -> Agent:
        config = {
            "identity": str(documents.settings.identities / system),
            "body_seconds": 2.0,
            "language": "en",
            "caller": {"listen": f"127.0.0.1:{free_port()}", "contracts": [CONTRACT], "seconds": 20} | changes,
        } | ({"connect": connect} if connect else {})
        made.append(Agent(tmp_path_factory.mktemp(system) / "agent", config).start())
        return made[-1]

    yield start
    for each in made:
        each.stop()


@pytest.fixture(scope="module")
def sender(agent: Callable[..., Agent]) -> Agent:
    return agent("phan-anh")


@pytest.fixture(scope="module")
def receiver(agent: Callable[..., Agent]) -> Agent:
    return agent("van-thu")


def tap(documents: Town, system: str) -> Road:
    """Somebody on that system's road to the gateway who ends TLS."""
    settings, identity = documents.settings, documents.settings.identities / system
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_cert_chain(settings.keys / "server.crt", settings.keys / "server.key")
    there = ssl.create_default_context(cafile=str(identity / "ca.crt"))
    there.load_cert_chain(identity / "tls.crt", identity / "tls.key")
    parts = urlsplit(settings.base)
    return Road((parts.hostname or "localhost", parts.port or 443), (here, there))


def noting(heard: list[bytes]) -> Callable[[bytes], bytes]:
    def hear(data: bytes) -> bytes:
        heard.append(data)
        return data

    return hear


def at(transfer: str, reference: str) -> str:
    return f"/transfers/{transfer}/bodies/{reference}"


def left(agent: Agent) -> list[Path]:
    return list((agent.folder / "state" / "files").iterdir())


def nothing_left(*agents: Agent) -> None:
    """A copy goes when its answer was read, which may be a moment later."""
    wait("nothing is left", lambda: not any(map(left, agents)))


def code(told: Told) -> tuple[int, str]:
    return told.status, told.json()["code"]


def sent(agent: Agent, documents: Town, data: bytes) -> tuple[str, str]:
    """A document with a file: its transfer, and the reference of the file."""
    told = agent.call("POST", UPLOAD, data, Content_Type="video/mp4")
    assert told.status == 201, told.body
    reference = str(told.json()["reference"])
    answer = agent.call("POST", PATH, documents.document | {"content": reference})
    assert answer.status == 200, answer.body
    return answer.headers["lgsp-transfer"], reference


def test_a_file_goes_from_one_old_system_to_another(documents: Town, sender: Agent, receiver: Agent) -> None:
    """In bounded memory, both ways. The agents grow by 64 MiB at most."""
    data = noise(SIZE)
    transfer, reference = sent(sender, documents, b"what a first call makes is there")
    receiver.call("GET", at(transfer, reference))
    pids = [each.process.pid for each in (sender, receiver) if each.process is not None]
    for pid in pids:
        forget_peak(pid)
    before = [memory(pid, "VmRSS") for pid in pids]
    told = sender.call("POST", UPLOAD, data, Content_Type="video/mp4")
    assert told.status == 201 and "lgsp-receipt" in told.headers, told.body
    file = told.json()
    assert (file["size"], file["sha256"]) == (SIZE, hashlib.sha256(data).hexdigest())
    transfer = sender.call("POST", PATH, documents.document | {"content": file["reference"]}).headers["lgsp-transfer"]
    for reference in (file["reference"], quote(file["reference"], safe="")):
        got = receiver.call("GET", at(transfer, reference))
        assert got.status == 200 and got.body == data
        assert got.headers["content-length"] == str(SIZE) and got.headers["repr-digest"].startswith("sha-256=:")
    grown = [memory(pid, "VmHWM") - size for pid, size in zip(pids, before, strict=True)]
    print(f"{SIZE} bytes: the sender's agent grew by {grown[0]}, the receiver's by {grown[1]}")
    assert max(grown) <= 64 * MIB
    nothing_left(sender, receiver)


@pytest.mark.attack("access: by a file through an agent")
def test_no_file_without_the_secret_and_none_of_another_system(
    documents: Town, sender: Agent, receiver: Agent, agent: Callable[..., Agent]
) -> None:
    transfer, reference = sent(sender, documents, b"a dossier")
    other = agent("thuc-phan")
    assert code(other.call("GET", at(transfer, reference))) == (404, "body.unknown")
    assert code(receiver.call("GET", at(new_id(), reference))) == (404, "body.unknown")
    for secret in ("", "x" * 32):
        assert code(receiver.call("GET", at(transfer, reference), secret=secret)) == (401, "agent.secret")
        assert code(sender.call("POST", UPLOAD, b"x", secret=secret)) == (401, "agent.secret")
    page = receiver.call("GET", at(transfer, reference), Origin="https://la.example")
    assert code(page) == (401, "agent.secret")
    for query in ("", f"?contract={CONTRACT}", "?contract=field-report/v1&operation=createRequest", f"?{'x=1&' * 99}"):
        assert code(sender.call("POST", f"/bodies{query}", b"x")) == (404, "agent.address"), query
    for wrong in (reference[:-1], reference.upper(), "urn:lgsp:body:x", reference.replace(":9:", f":{1 << 40}:")):
        assert code(receiver.call("GET", at(transfer, wrong))) == (400, "agent.reference"), wrong
    nothing_left(other, receiver, sender)


@pytest.mark.attack("integrity: of a file through an agent")
def test_nothing_of_a_file_that_is_not_the_references(
    documents: Town, sender: Agent, agent: Callable[..., Agent]
) -> None:
    """Somebody on the road who ends TLS changes one byte of a file; or the reference has another digest or size."""
    road = tap(documents, "van-thu")
    try:
        tapped = agent("van-thu", connect=road.at)
        transfer, reference = sent(sender, documents, b"a" * 200_000 + b"PAY 1000" + b"a" * 200_000)
        assert tapped.call("GET", at(transfer, reference)).status == 200
        head, size = reference.rpartition(":")[0], ":400008:"
        for wrong in (f"{head}:{'0' * 64}", reference.replace(size, ":400007:"), reference.replace(size, ":400009:")):
            told = tapped.call("GET", at(transfer, wrong))
            assert told.status in (416, 502) and not told.body.startswith(b"a"), wrong
        road.tamper = lambda data: data.replace(b"PAY 1000", b"PAY 9000")
        assert code(tapped.call("GET", at(transfer, reference))) == (502, "agent.bad-answer")
        nothing_left(tapped)
    finally:
        road.close()


def test_an_upload_goes_on_where_the_road_was_cut(documents: Town, agent: Callable[..., Agent]) -> None:
    parts = urlsplit(documents.settings.base)
    road = Road((parts.hostname or "localhost", parts.port or 443))
    sender, data, carried = agent("phan-anh", connect=road.at), noise(16 * MIB), 0
    done = threading.Event()

    def disturb() -> None:
        nonlocal carried
        while not done.is_set() and sum(map(len, road.came)) < 6 * MIB:
            time.sleep(0.002)
        road.cut()
        time.sleep(0.2)
        road.mend()

    cutter = threading.Thread(target=disturb)
    cutter.start()
    try:
        told = sender.call("POST", UPLOAD, data)
    finally:
        done.set()
        cutter.join()
        carried = sum(map(len, road.came))
        road.close()
    assert told.status == 201 and told.json()["sha256"] == hashlib.sha256(data).hexdigest()
    assert carried < 2 * len(data), "what was kept is not sent again"
    assert code(sender.call("POST", UPLOAD, data)) == (503, "agent.unreachable"), "the road is gone: it is not queued"
    assert not left(sender) and not sender.count("queued")


def raw(agent: Agent, head: str) -> socket.socket:
    host, _, port = agent.config["caller"]["listen"].rpartition(":")
    opened = socket.create_connection((host, int(port)), timeout=60)
    words = f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost\r\nLgsp-Agent-Secret: {agent.secret}\r\n{head}\r\n\r\n"
    opened.sendall(words.encode())
    return opened


@pytest.mark.attack("resources: files that fill an agent")
def test_a_local_body_without_end_is_bounded(documents: Town, agent: Callable[..., Agent]) -> None:
    small = agent("phan-anh", files=3 * MIB)

    def endless(pause: float) -> Iterator[bytes]:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            yield b"x" * (1 if pause else 65_536)
            time.sleep(pause)

    def given(body: Iterator[bytes] | bytes, **headers: str) -> dict[str, Any]:
        with raw(small, "Transfer-Encoding: chunked") as opened:
            try:
                for each in body:
                    piece = bytes([each]) if isinstance(each, int) else each
                    opened.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            except OSError:
                pass  # the agent answered, and reads no further
            answer = b""
            while b"}" not in answer and (part := opened.recv(65_536)):
                answer += part
        found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found

    assert given(endless(0.0))["code"] == "agent.files-full"
    assert given(endless(0.1))["code"] == "agent.body-too-slow"
    with raw(small, f"Content-Length: {(1 << 30) + 1}") as opened:
        assert b" 413 " in opened.recv(65_536).splitlines()[0]
    with raw(small, f"Content-Length: {4 * MIB}") as opened:
        assert b" 503 " in opened.recv(65_536).splitlines()[0]
    with raw(small, f"Content-Length: {2 * MIB}") as opened:
        opened.sendall(b"x" * MIB)  # cut
        wait("the file begins", lambda: left(small))
        with raw(small, f"Content-Length: {2 * MIB}") as second:
            assert b" 503 " in second.recv(65_536).splitlines()[0], "the first has most of the room"
    wait("what was cut is removed", lambda: not left(small))
    assert small.call("POST", UPLOAD, b"x" * MIB).status == 201, "the room is given back"
    nothing_left(small)


@pytest.mark.attack("resources: an agent whose disk is full")
def test_a_full_disk_is_told_and_leaves_nothing(documents: Town, agent: Callable[..., Agent]) -> None:
    sender, receiver = agent("phan-anh"), agent("van-thu")
    transfer, reference = sent(sender, documents, noise(3 * MIB))
    for each in (sender, receiver):
        assert each.process is not None
        resource.prlimit(each.process.pid, resource.RLIMIT_FSIZE, (MIB, MIB))
    assert code(sender.call("POST", UPLOAD, noise(3 * MIB))) == (503, "agent.files-full")
    assert code(receiver.call("GET", at(transfer, reference))) == (503, "agent.files-full")
    nothing_left(sender, receiver)
    receiver.kill()
    (receiver.folder / "state" / "files" / "of-a-killed-agent.part").write_bytes(b"x")
    receiver.start()
    nothing_left(receiver)
    assert len(receiver.call("GET", at(transfer, reference)).body) == 3 * MIB


def test_a_file_of_an_encrypted_contract_is_hidden_on_the_road(documents: Town, agent: Callable[..., Agent]) -> None:
    """Both old systems know nothing of it, and a proxy that ends TLS sees nothing of the file."""
    tapped, heard, data = tap(documents, "mot-cua-xa"), list[bytes](), b"TRICH LUC " * 200_000
    tapped.tamper = noting(heard)
    reading, seen = tap(documents, "dieu-hanh"), list[bytes]()
    reading.tamper = noting(seen)
    try:
        sender = agent("mot-cua-xa", connect=tapped.at, contracts=[DOSSIERS])
        told = sender.call("POST", f"/bodies?contract={DOSSIERS}&operation=submitStatus", data)
        assert told.status == 201, told.body
        reference = told.json()["reference"]
        text = SAMPLE.read_text("utf-8").partition("?>")[2].strip()
        text = re.sub("(?<=<mc:GhiChu>)[^<]+", reference, text)
        envelope = (
            f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{text}</s:Body></s:Envelope>'
        )
        action = '"urn:caobang:mot-cua:1:DongBoHoSo"'
        sent = sender.call("POST", f"/soap/{DOSSIERS}", envelope.encode(), Content_Type="text/xml", SOAPAction=action)
        assert sent.status == 200, sent.body
        centre = agent("dieu-hanh", connect=reading.at, contracts=[DOSSIERS])

        def event() -> Any:
            page = centre.call("GET", f"/feeds/{DOSSIERS}?limit=1000").json()["events"]
            return next((each for each in page if each["data"]["dossier"].get("note") == reference), None)

        assert centre.call("GET", at(wait("the event", event)["id"], reference)).body == data
        nothing_left(sender, centre)
    finally:
        tapped.close()
        reading.close()
    for road in ([*tapped.came, *heard], [*reading.came, *seen]):
        joined = b"".join(road)
        assert len(joined) > len(data) and b"TRICH LUC" not in joined
        assert b"application/vnd.lgsp.encrypted-file" in joined
