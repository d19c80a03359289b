"""Identities in real processes: rotation while calls run, an outside authority taken up without restart, and what a
live connection is refused for."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from bench.demo import demo_settings, running, world_of
from examples.story.exchange import QUESTION
from examples.story.world import World
from gateway.cli.run import ensure_instance
from gateway.journal.database import open_engine
from gateway.registry.changes import enrolment, keys
from gateway.registry.records import Use
from gateway.registry.seals.sealing import Seal, changing
from gateway.sample_client.errors import NoAnswer
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Answer, RestClient, TokenRefused
from gateway.sample_client.soap import SoapClient
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from gateway.vault.vault import Vault
from tests.following import everywhere
from tests.keeper.tasks.outside import Outside, new_key, pem
from tests.keeper.tasks.responder import Served
from tests.registry.making import WHOLE

pytestmark = pytest.mark.server

QUERY = messages.indicator_question(**QUESTION)
FEED = "/feeds/indicator/v1"
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = replace(
        demo_settings(tmp_path_factory.mktemp("identities") / "data"),
        doors=2,
        status_seconds=1.0,
        provider_seconds=20.0,
    )
    ensure_instance(settings, say_progress=False)
    with running(settings):
        made = world_of(settings)
        made.remembered["settings"] = settings
        yield made


@pytest.fixture(scope="module")
def outside() -> Outside:
    return Outside(time.time())


@pytest.fixture(scope="module")
def lists(world: World, outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """The authority is registered while the instance runs; what it publishes by HTTP stands in this dictionary."""
    found = {"/issuer.crl": outside.crl()}
    with Served(lambda path, body: found.get(path)) as served:
        crl = f'["{served.base}/issuer.crl"]'
        text = (
            f"authorities:\n  - name: chuyen-dung\n    uses: [tls, sign]\n    crl: {crl}\n    grace: 0\n    "
            "certificates: |\n"
        )
        file = tmp_path_factory.mktemp("document") / "province.yaml"
        file.write_text(WHOLE + "\n" + text + indent(outside.pem, "      "), "utf-8")
        applied = world.lgsp("registry", "apply", str(file), "--data", str(world.data))
        assert [each["id"] for each in applied["changes"]] == ["chuyen-dung"], applied
        yield found


def lgsp(world: World, *words: str) -> dict[str, Any]:
    done = world.lgsp(*words, "--data", str(world.data))
    assert done["ok"], done
    return done


def folder(world: World, place: Path, system: str = "y-te", **ids: str) -> Path:
    """A copy of a system's identity, to put other keys into."""
    shutil.copytree(world.identities / system, place)
    about = json.loads((place / "system.json").read_text("utf-8"))
    (place / "system.json").write_text(json.dumps(about | ids), "utf-8")
    return place


def put(place: Path, use: str, key: ec.EllipticCurvePrivateKey, certificate: str) -> None:
    (place / f"{use}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (place / f"{use}.crt").write_text(certificate, "ascii")


def request_by_openssl(place: Path, system: str) -> tuple[Path, Path]:
    """Key and request as a partner makes them, with what lies on every machine."""
    key, request = place / "new.key", place / "new.csr"
    words = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-noenc",
        "-keyout",
        str(key),
        "-out",
        str(request),
    ]
    words += ["-subj", f"/CN={system}", "-addext", f"subjectAltName=URI:urn:lgsp:system:{system}"]
    subprocess.run(["openssl", "req", "-new", *words], check=True, capture_output=True, timeout=60)
    return key, request


class Calling:
    """Calls without a pause, over whatever client is put in."""

    def __init__(self, client: RestClient) -> None:
        self.client, self.answers, self.wrong = client, 0, list[Any]()
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Calling:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self.client.call("GET", QUERY)
                assert answer.ok, answer.problem
                self.answers += 1
            except Exception as trouble:
                self.wrong.append(trouble)


def code(answer: Answer) -> str | None:
    return answer.problem["code"] if answer.problem is not None else None


@pytest.mark.full
def test_keys_are_rotated_while_calls_run(world: World, tmp_path: Path) -> None:
    """Two keys of one use in force at once; the client moves when it likes; then the old ones are revoked, and told to
    others."""
    old, place = (
        world.rest("y-te"),
        folder(world, tmp_path / "y-te", tls_key_id="y-te.tls-2", sign_key_id="y-te.sign-2"),
    )
    with Calling(RestClient(Identity.load(world.identities / "y-te"))) as calling:
        for use in ("tls", "sign"):
            key, request = request_by_openssl(tmp_path, "y-te")
            done = lgsp(
                world,
                "registry",
                "enrol",
                "y-te",
                "--use",
                use,
                "--request",
                str(request),
                "--out",
                str(place / f"{use}.crt"),
            )
            assert done["key"] == f"y-te.{use}-2" and done["added"] and done["authority"] is None
            shutil.move(key, place / f"{use}.key")
        everywhere(world.remembered["settings"])
        assert old.call("GET", QUERY).ok
        calling.client = RestClient(Identity.load(place))
        moved = calling.answers
        world.wait("calls with the new keys", lambda: calling.answers > moved + 5)
        for use in ("sign", "tls"):
            assert lgsp(world, "registry", "revoke", f"y-te.{use}-1", "--reason", "superseded")["revoked"]
        everywhere(world.remembered["settings"])
        assert {code(old.call("GET", QUERY)) for _ in range(6)} == {"channel.revoked"}  # at every door
        last = calling.answers
        world.wait("calls go on", lambda: calling.answers > last + 5)
    assert calling.wrong == [] and calling.answers > 20
    shown = {each["key"]: each["state"] for each in lgsp(world, "registry", "keys", "y-te")["keys"]}
    assert (
        shown["y-te.tls-1"] == shown["y-te.sign-1"] == "revoked"
        and shown["y-te.tls-2"] == shown["y-te.sign-2"] == "active"
    )
    # The old signing key over the new connection: the signature is what is refused.
    shutil.copy(world.identities / "y-te" / "sign.key", place)
    shutil.copy(world.identities / "y-te" / "sign.crt", place)
    about = json.loads((place / "system.json").read_text("utf-8")) | {"sign_key_id": "y-te.sign-1"}
    (place / "system.json").write_text(json.dumps(about), "utf-8")
    soap = SoapClient(Identity.load(place)).call("indicator/v1", "getValue", messages.indicator_body(**QUESTION))
    assert soap.fault is not None and soap.fault.problem == "signature.key-revoked"
    # Openssl reads the list that the gateway publishes, and judges by it.
    ca, raw = world.data / "ca", old.identity.gateway
    listed = tmp_path / "tls.crl"

    def published() -> bool:
        """The keeper makes the list a moment after the revocation."""
        fetched = ["curl", "-sS", "--cacert", str(ca / "anchors.pem"), f"{raw}/ca/tls.crl", "-o", str(listed)]
        got = subprocess.run(fetched, capture_output=True, timeout=60)
        assert got.returncode == 0, got.stderr
        printed = lgsp(world, "ca", "crl", "tls", "--out", str(tmp_path / "by-command.crl"))
        return printed["revoked"] == 1 and (tmp_path / "by-command.crl").read_bytes() == listed.read_bytes()

    world.wait("the published list is that of the command", published)
    (tmp_path / "crl.pem").write_bytes(x509.load_der_x509_crl(listed.read_bytes()).public_bytes(Encoding.PEM))
    common = [
        "openssl",
        "verify",
        "-CAfile",
        str(ca / "anchors.pem"),
        "-crl_check",
        "-CRLfile",
        str(tmp_path / "crl.pem"),
    ]
    for certificate, ending in (
        (world.identities / "y-te" / "tls.crt", "certificate revoked"),
        (place / "tls.crt", "OK"),
    ):
        judged = subprocess.run([*common, str(certificate)], capture_output=True, text=True, timeout=60)
        assert ending in judged.stdout + judged.stderr


def test_an_issuer_is_made_anew(world: World, tmp_path: Path) -> None:
    """Certificates of the issuer before go on; those of the new one are understood without a restart, even without
    their chain."""
    before = lgsp(world, "ca", "show")
    assert {each["name"] for each in before["certificates"]} == {"root", "tls", "sign", "vendors"} and not before[
        "root_key_offline"
    ]
    assert lgsp(world, "ca", "renew", "tls")["before"] == "tls-1"
    (world.data / "ca" / "root.key").rename(tmp_path / "root.key")  # the ceremony is over
    offline = world.lgsp("ca", "renew", "sign", "--data", str(world.data))
    assert not offline["ok"] and offline["error"]["code"] == "authority.root-offline"
    place = folder(world, tmp_path / "canh-bao", "canh-bao", tls_key_id="canh-bao.tls-2")
    key, request = request_by_openssl(tmp_path, "canh-bao")
    done = lgsp(world, "registry", "enrol", "canh-bao", "--use", "tls", "--request", str(request))
    leaf = x509.load_pem_x509_certificates(done["certificate"].encode())[0]
    shutil.move(key, place / "tls.key")
    (place / "tls.crt").write_text(pem(leaf), "ascii")
    everywhere(world.remembered["settings"])
    made, old = RestClient(Identity.load(place)), world.rest("canh-bao")
    for client in (made, old):
        assert client.token()
    (tmp_path / "root.key").rename(world.data / "ca" / "root.key")


def enrolled(
    world: World, outside: Outside, tmp_path: Path, system: str, **more: Any
) -> tuple[RestClient, dict[str, x509.Certificate]]:
    """A system with certificates of the outside authority; `more` shapes the TLS certificate."""
    place = folder(world, tmp_path / system, system, tls_key_id=f"{system}.tls-9", sign_key_id=f"{system}.sign-9")
    leaves: dict[str, x509.Certificate] = {}
    settings = world.remembered["settings"]
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        connection = act.connection
        act.note("registry", {"system": system}, time.time())
        uses: dict[Use, x509.ObjectIdentifier] = {"tls": ExtendedKeyUsageOID.CLIENT_AUTH, "sign": DOCUMENT_SIGNING}
        for use, purpose in uses.items():
            key = new_key()
            leaves[use] = outside.issue(f"{system} {use}", key, purpose, **(more if use == "tls" else {}))
            put(place, use, key, pem(leaves[use]) + (pem(outside.issuer) if use == "tls" else ""))
            trusts = keys.trusted(connection, None)
            raw = pem(leaves[use]).encode()
            enrolment.by_certificate(
                connection, trusts, enrolment.Wanted(system, use, f"{system}.{use}-9"), raw, time.time()
            )
    return RestClient(Identity.load(place)), leaves


@pytest.mark.full
def test_outside_certificates_serve_without_a_restart(
    world: World, outside: Outside, lists: dict[str, bytes], tmp_path: Path
) -> None:
    client, leaves = enrolled(world, outside, tmp_path, "kinh-te")
    word = ("--use", "tls", "--certificate", str(client.identity.folder / "tls.crt"), "--id", "kinh-te.tls-9")
    again = lgsp(world, "registry", "enrol", "kinh-te", *word)
    assert again["authority"] == "chuyen-dung" and not again["added"]
    world.wait("its standing is known", lambda: believed(client))
    # Revoked by its authority: refused over the connection that is open, by every door.
    lists["/issuer.crl"] = outside.crl(leaves["tls"], begins=time.time() - outside.now - 1, number=2)
    lgsp(world, "registry", "refresh")
    world.wait("it is refused", lambda: code(client.call("GET", FEED)) == "channel.revoked")
    told = client.call("GET", FEED).problem
    assert told is not None and "kinh-te.tls-9" in told["detail"] and "keyCompromise" in told["detail"]


def test_the_status_is_kept_with_the_evidence(
    world: World, outside: Outside, lists: dict[str, bytes], tmp_path: Path
) -> None:
    client, _ = enrolled(world, outside, tmp_path, "dieu-hanh")
    world.wait("its standing is known", lambda: believed(client))
    answer = client.call("GET", QUERY)
    assert answer.ok and answer.receipt is not None, answer.problem
    settings: Settings = world.remembered["settings"]
    with open_engine(settings.database_url).connect() as connection:
        kept = Vault(settings.vault_keys).open(connection, f"{answer.receipt.transfer}/request").decode()
    said = [line for line in kept.splitlines() if line.startswith("lgsp-certificate-status: ")]
    assert [line.split("; ")[:3] for line in said] == [
        ["lgsp-certificate-status: tls", "dieu-hanh.tls-9", "good"],
        ["lgsp-certificate-status: sign", "dieu-hanh.sign-9", "good"],
    ]
    assert all("sha256=" in line and "next-update=" in line and "authority=chuyen-dung" in line for line in said)


@pytest.mark.full
def test_what_ends_while_a_connection_lives(
    world: World, outside: Outside, lists: dict[str, bytes], tmp_path: Path
) -> None:
    """A certificate that ends, and one of which nobody can say any more that it was not revoked: the door fails closed,
    and says so."""
    since = time.time() - outside.now
    lists["/issuer.crl"] = outside.crl(begins=since, lasts=60.0, number=9)
    ending, _ = enrolled(world, outside, tmp_path, "phan-anh", begins=since - 60, days=(60 + 57) / 86400)
    silent, _ = enrolled(world, outside, tmp_path, "bao-chay")
    world.wait("their standing is known", lambda: believed(ending) and believed(silent))
    lists.pop("/issuer.crl")
    world.wait("it has ended", lambda: code(ending.call("GET", FEED)) == "channel.expired")
    world.wait("nobody knows", lambda: code(silent.call("GET", FEED)) == "channel.status-unknown")
    told = silent.call("GET", FEED).problem
    assert told is not None and "ran out" in told["messages"]["en"]["detail"]


def believed(client: RestClient) -> bool:
    """Whether the certificates are believed; what the caller may read is another matter. A door that did not take up
    their authority yet ends the connection."""
    try:
        return (code(client.call("GET", FEED)) or "").partition(".")[0] != "channel"
    except (NoAnswer, TokenRefused):
        return False
