"""Contracts whose bodies are encrypted: the kit finds that out from what the gateway publishes, encrypts, and takes
nothing in clear."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from examples.story import World
from gateway.client import AsyncClient, BadIdentity, Identity, NotProven, RefusedOurs, RefusedTheirs
from gateway.client.transport import HttpTransport, RawAnswer
from gateway.sandbox.standins import messages

pytestmark = pytest.mark.server
DOSSIERS = "dossier-status/v1"
ACTION = "urn:caobang:mot-cua:1:DongBoHoSo"
SAMPLES = Path(__file__).parents[2] / "contracts/catalogue/dossier-status/v1/samples"


class Wire:
    """What went over it, and a lie where `lie` tells one."""

    def __init__(self, identity: Identity) -> None:
        self.true = HttpTransport(identity.tls(), seconds=10.0, connections=2)
        self.sent: list[tuple[str, bytes | None]] = []
        self.answers: list[RawAnswer] = []
        self.lies: dict[str, RawAnswer | bytes] = {}

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> RawAnswer:
        self.sent.append((url, body))
        answer = await self.true.send(method, url, headers, body)
        self.answers.append(answer)
        for part, lie in self.lies.items():
            if part in url:
                answer = lie if isinstance(lie, RawAnswer) else answer._replace(body=lie)
        return answer

    async def close(self) -> None:
        await self.true.close()

    def all_bytes(self) -> bytes:
        return b"\n".join([body or b"" for _, body in self.sent] + [answer.body for answer in self.answers])


def status() -> bytes:
    return (
        (SAMPLES / "mot-cua-xml/DossierStatus.dat-dai.xml")
        .read_bytes()
        .replace(b"H14.21-261105-0042.7", f"H14.22-{uuid.uuid4()}".encode())
    )


def copied(folder: Path, to: Path, *without: str) -> Identity:
    shutil.copytree(
        folder, to, ignore=lambda _, names: [name for name in names if name in without or name == "checkpoints"]
    )
    return Identity.load(to)


@pytest.fixture
async def soap(world: World, tmp_path: Path) -> AsyncIterator[tuple[AsyncClient, Wire]]:
    who = Identity.load(world.identities / "mot-cua-xa")
    wire = Wire(who)
    async with AsyncClient(who, state=tmp_path / "state", transport=wire) as made:
        yield made, wire


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_soap_is_encrypted_both_ways_where_the_contract_says_so(
    soap: tuple[AsyncClient, Wire], version: str
) -> None:
    client, wire = soap
    body, known_as = status(), f"urn:uuid:{uuid.uuid4()}"
    answers = [await client.soap(DOSSIERS, body, known_as, action=ACTION, version=version) for _ in range(2)]
    assert (
        answers[0].proven and b"acceptedAt" in answers[0].body and answers[0].body == answers[1].body
    )  # a repeat is the same message
    seen = wire.all_bytes()
    assert b"NguoiNop" not in seen and b"acceptedAt" not in seen and seen.count(b"EncryptedData") >= 4
    with pytest.raises(RefusedTheirs) as wrong:  # a refusal that speaks of the content is encrypted too
        await client.soap(
            DOSSIERS, status().replace(b"<mc:TrangThai>5<", b"<mc:TrangThai>93<"), action=ACTION, version=version
        )
    assert wrong.value.code == "message.invalid" and wrong.value.proven and b"TrangThai" not in wire.all_bytes()


async def test_a_contract_that_became_encrypted_is_noticed(soap: tuple[AsyncClient, Wire]) -> None:
    client, wire = soap
    wire.lies["/contracts/"] = json.dumps({"protection": "signed"}).encode()
    assert (await client.soap(DOSSIERS, status(), action=ACTION)).proven
    assert [b"EncryptedData" in (body or b"") for url, body in wire.sent if "/soap/" in url] == [False, True]


async def test_nothing_goes_out_in_clear_for_want_of_an_answer_nor_where_the_caller_knows_better(
    world: World, tmp_path: Path
) -> None:
    who = Identity.load(world.identities / "mot-cua-xa")
    for lie, encrypted in (
        (RawAnswer(503, {}, b""), ()),
        (RawAnswer(200, {}, b'{"protection":"signed"}'), (DOSSIERS,)),
    ):
        wire = Wire(who)
        wire.lies["/contracts/"] = lie
        async with AsyncClient(who, state=tmp_path / "state", transport=wire, tries=1, encrypted=encrypted) as client:
            if encrypted:
                assert (await client.soap(DOSSIERS, status(), action=ACTION)).proven
            else:
                with pytest.raises(RefusedOurs):
                    await client.soap(DOSSIERS, status(), action=ACTION)
        assert all(b"EncryptedData" in (body or b"") for url, body in wire.sent if "/soap/" in url)


async def test_a_changed_cipher_and_an_answer_in_clear_are_not_believed(
    soap: tuple[AsyncClient, Wire], world: World
) -> None:
    client, wire = soap
    await client.soap(DOSSIERS, status(), action=ACTION)
    sealed = wire.answers[-1]
    at = sealed.body.rindex(b"</xenc:CipherValue>") - 40
    for lie in (
        sealed.body[:at] + (b"A" if sealed.body[at : at + 1] != b"A" else b"B") + sealed.body[at + 1 :],
        b"<html/>",
    ):
        wire.lies["/soap/"] = lie
        with pytest.raises(NotProven):
            await client.soap(DOSSIERS, status(), action=ACTION)
    who = Identity.load(world.identities / "canh-bao")
    other = Wire(who)
    async with AsyncClient(who, state=client.identity.folder / "checkpoints", transport=other) as plain:
        await plain.soap("incident-alert/v1", messages.cap_alert())
    wire.lies["/soap/"] = other.answers[-1]  # truly the gateway's, and not to us
    with pytest.raises(NotProven):
        await client.soap(DOSSIERS, status(), action=ACTION)


async def test_a_folder_without_keys_for_encryption_is_told_before_anything_is_sent(
    world: World, tmp_path: Path
) -> None:
    who = copied(
        world.identities / "mot-cua-xa", tmp_path / "without", "encrypt.key", "encrypt.crt", "gateway-encrypt.crt"
    )
    wire = Wire(who)
    async with AsyncClient(who, transport=wire) as client:
        with pytest.raises(BadIdentity) as lacking:
            await client.soap(DOSSIERS, status(), action=ACTION)
    assert "encrypt.key" in lacking.value.what("en") and not [url for url, _ in wire.sent if "/soap/" in url]


async def test_the_gateways_key_for_encryption_is_learnt_from_what_it_publishes(world: World, tmp_path: Path) -> None:
    who = copied(world.identities / "mot-cua-xa", tmp_path / "without", "gateway-encrypt.crt")
    wire = Wire(who)
    async with AsyncClient(who, transport=wire) as client:
        assert (await client.soap(DOSSIERS, status(), action=ACTION)).proven
    assert any(url.endswith("/keys") for url, _ in wire.sent)


async def test_keys_of_another_system_open_nothing(world: World, tmp_path: Path) -> None:
    who = copied(world.identities / "mot-cua-xa", tmp_path / "mixed")
    for name in ("encrypt.key", "encrypt.crt"):
        shutil.copyfile(world.identities / "y-te" / name, tmp_path / "mixed" / name)
    who = Identity.load(tmp_path / "mixed")
    async with AsyncClient(who) as client:
        with pytest.raises(NotProven) as sealed:
            await client.soap(DOSSIERS, status(), action=ACTION)
    assert "body.decryption" in sealed.value.what("en")


@pytest.fixture
async def rest(world: World, tmp_path: Path) -> AsyncIterator[tuple[AsyncClient, Wire]]:
    who = Identity.load(world.identities / "mot-cua")
    wire = Wire(who)
    async with AsyncClient(who, state=tmp_path / "state", transport=wire) as made:
        yield made, wire


async def test_rest_is_encrypted_both_ways_where_the_contract_says_so(
    rest: tuple[AsyncClient, Wire], world: World
) -> None:
    client, wire = rest
    event = str(uuid.uuid4())
    content = messages.dossier_status(event=event)
    answers = [await client.rest("POST", "/dossier-status/v1/statuses", content, event) for _ in range(2)]
    assert answers[0].proven and answers[0].json()["messageId"] == event and answers[0].body == answers[1].body
    assert answers[0].headers["content-type"] == "application/json" and answers[0].raw != answers[1].raw
    seen = [body or b"" for url, body in wire.sent if "/statuses" in url] + [answer.raw for answer in answers]
    assert len(seen) == 4 and all(each.count(b".") == 4 for each in seen)  # JWE, compact
    assert content["ChuHoSo"].encode() not in b"".join(seen)
    with pytest.raises(RefusedTheirs) as wrong:
        await client.rest("POST", "/dossier-status/v1/statuses", {**content, "MaHoSo": 7}, str(uuid.uuid4()))
    assert wrong.value.code == "message.invalid" and wrong.value.proven and wrong.value.findings[0].here == "MaHoSo"
    async with AsyncClient(
        Identity.load(world.identities / "dieu-hanh"), state=client.identity.folder / "checkpoints"
    ) as centre:
        assert (
            await centre.feed("dossier-status/v1", limit=1)
        ).answer.proven  # its pages are encrypted for their reader


async def test_a_changed_cipher_and_an_answer_in_clear_by_rest(rest: tuple[AsyncClient, Wire], world: World) -> None:
    client, wire = rest
    content = messages.dossier_status(event=str(uuid.uuid4()))
    await client.rest("POST", "/dossier-status/v1/statuses", content)
    for lie in (wire.answers[-1].body[:-8] + b"AAAAAAAA", b"{}"):
        wire.lies["/statuses"] = lie
        with pytest.raises(NotProven):
            await client.rest("POST", "/dossier-status/v1/statuses", content)


async def test_a_contract_that_became_encrypted_is_noticed_by_rest(rest: tuple[AsyncClient, Wire]) -> None:
    client, wire = rest
    wire.lies["/contracts/"] = json.dumps({"protection": "signed"}).encode()
    assert (
        await client.rest("POST", "/dossier-status/v1/statuses", messages.dossier_status(event=str(uuid.uuid4())))
    ).proven
