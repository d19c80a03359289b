"""Makes an instance: folder, keys, database, contracts; for a sandbox also a province with an identity per system.

Invariant: an instance is made whole or not at all. It is built in a sub-folder, which one rename declares whole.
Its content then moves up; an interrupted move continues at the next start. An interruption or a full disk leaves
nothing that looks like an instance. The folder may be a volume. Before, it may hold settings and nothing else.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from gateway.audit.log.logkey import LogKey
from gateway.durable import write_new
from gateway.feeds.digests import begin_by_minutes
from gateway.hardening import private_files
from gateway.indicators import definitions
from gateway.indicators.definitions import known_to
from gateway.indicators.store import define
from gateway.indicators.values import CONTRACT
from gateway.journal.database import migrate, open_engine, writing
from gateway.keys.authority import EmbeddedAuthority
from gateway.keys.keyring import DECRYPT_KEY_ID, SIGN_KEY_ID, Keyring, make_keys
from gateway.registry import identity, store
from gateway.registry.changes import granting, proposals
from gateway.registry.changes.adopting import GRANTED
from gateway.registry.changes.document import Document, parse
from gateway.registry.own_feed import WITH_CATALOGUE
from gateway.registry.records import Change, System
from gateway.registry.seals.sealing import Seal
from gateway.registry.workflows import WORKFLOW
from gateway.sandbox import agents, live, people
from gateway.settings import DRAFT, FILE, NO_INSTANCE, WHOLE, Settings
from gateway.settings.saving import save
from security import algorithms
from security.algorithms import PrivateKey
from security.grants import approvals
from security.pki import authority

PROVINCE: Final = "province.yaml"
INDICATORS: Final = "indicators.yaml"
UNREGISTERED: Final = "chua-dang-ky"
OFFICERS: Final = ("can-bo-an-toan-1", "can-bo-an-toan-2", "can-bo-an-toan-3")
_FOUNDERS: Final = OFFICERS[:2]  # who sign the grants and workflows that a sandbox begins with


Certificates = Mapping[str, bytes]  # in PEM, by tls, sign, sign-rsa, encrypt
_USES: Final[Mapping[str, Literal["tls", "sign", "encrypt"]]] = {
    "tls": "tls",
    "sign": "sign",
    "sign-rsa": "sign",
    "encrypt": "encrypt",
}


class FolderTaken(FileExistsError):
    """The folder holds an instance already, or foreign files."""


def make_instance(settings: Settings, endpoints: Mapping[str, str], now: float, *, province: bool) -> None:
    """Make an instance in `settings.data`, if asked for with the sandbox's province.

    `endpoints` gives the address of each stand-in system, by the system's id.
    """
    place, whole = settings.data, settings.data / WHOLE
    if not whole.exists():
        with private_files():
            _build(settings, endpoints, now, province).rename(whole)
    with suppress(PermissionError):  # a volume that belongs to another user
        place.chmod(0o700)
    # Last the settings, which replace those that were read.
    for each in sorted(whole.iterdir(), key=lambda each: each.name == FILE):
        each.replace(place / each.name)
    whole.rmdir()


def _build(settings: Settings, endpoints: Mapping[str, str], now: float, province: bool) -> Path:
    place = settings.data
    there = place.exists()
    others = sorted(each.name for each in place.iterdir() if each.name not in NO_INSTANCE) if there else []
    if others:
        raise FolderTaken(f"{place}: {', '.join(others[:3])}{', …' if len(others) > 3 else ''}")
    building = place / DRAFT
    shutil.rmtree(building, ignore_errors=True)
    try:
        building.mkdir(parents=True, mode=0o700)
        _make(replace(settings, data=building), settings, endpoints, now, province)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        if not there:
            with suppress(OSError):
                place.rmdir()
        raise
    return building


def _make(draft: Settings, settings: Settings, endpoints: Mapping[str, str], now: float, province: bool) -> None:
    """Make all of it in the folder of `draft`. `settings` are those of its final place."""
    building = draft.data
    make_keys(draft, now, hosts=_hosts(settings))
    (building / "log").mkdir()
    Keyring(draft).log_vkey.write_text(
        LogKey.open(Keyring(draft).log_key, settings.origin, Keyring(draft).at_rest).vkey + "\n", "ascii"
    )
    engine = open_engine(draft.database_url)
    try:
        identity.check_free(engine)
        migrate(engine)
        with writing(engine) as connection:
            identity.record(connection, draft)
            if settings.kind == "sandbox":
                begin_by_minutes(connection)
            changes = _fill(connection, draft, settings.base, endpoints, now, province)
            seal, facts = Seal.of(draft), {"changes": len(changes), "what": _summary(changes), "receiving": GRANTED}
            seal.mark.lift(seal.record(connection, None, "registry", facts, now, "gateway"))
    finally:
        engine.dispose()
    if province:
        live.remember(building, endpoints)
        agents.prepare(settings, building, endpoints)
    save(draft)


def refresh(settings: Settings, now: float) -> None:
    """What a start brings up to date in the folder of an instance that is there."""
    readdress(settings)
    if settings.kind == "sandbox":
        EmbeddedAuthority(settings).ensure_vendors(now)  # an instance of an older release has none


def readdress(settings: Settings) -> None:
    """Update the gateway's address in the sandbox's identity folders, after its port changed."""
    for file in settings.identities.glob("*/system.json"):
        about = json.loads(file.read_text("utf-8"))
        if about["gateway"] != settings.base:
            part = file.with_name("system.json.part")
            part.write_text(json.dumps(about | {"gateway": settings.base}, indent=2) + "\n", "utf-8")
            part.chmod(0o600)
            part.replace(file)


def _fill(
    connection: Connection, settings: Settings, base: str, endpoints: Mapping[str, str], now: float, province: bool
) -> list[Change]:
    contracts: dict[str, CompiledContract] = {}
    changes: list[Change] = []
    for folder in (*catalogue_folders(), *WITH_CATALOGUE):
        bundle = Bundle.from_folder(folder)
        compiled = compile_bundle(bundle)
        contracts[compiled.contract.name] = compiled
        changes += store.publish_bundle(connection, bundle, compiled)
    if not province:
        return changes
    officers = {name: _key_pair(settings, name, "officer") for name in OFFICERS}
    persons = {name: _key_pair(settings, name, "person") for name in (people.OPERATOR, people.AUDITOR)}
    fill = {**endpoints, **{name: public for name, (public, _) in (officers | persons).items()}}
    document = parse(resources.files("gateway.sandbox").joinpath(PROVINCE).read_bytes(), contracts, fill)
    changes += store.apply(document, connection, now)
    changes += _define(connection, contracts, document, now)
    changes += _approve(connection, document, {name: officers[name] for name in _FOUNDERS}, now)
    changes += _enrol(connection, settings, base, document, now)
    return changes


def _define(
    connection: Connection, contracts: Mapping[str, CompiledContract], document: Document, now: float
) -> list[Change]:
    """The indicators of the province."""
    agencies = {each.code: each for each in document.agencies}
    text = resources.files("gateway.sandbox").joinpath(INDICATORS).read_bytes()
    return define(connection, definitions.parse(text, known_to(contracts[CONTRACT], agencies)), now)


def _key_pair(settings: Settings, name: str, what: str) -> tuple[str, bytes]:
    """Make a key pair for an officer or person, in a folder of its own: public and private, in PEM."""
    folder = settings.identities / name
    folder.mkdir(parents=True, mode=0o700)
    private = ec.generate_private_key(ec.SECP256R1())
    public, secret = approvals.public_pem(private.public_key()), authority.private_pem(private)
    (folder / f"{what}.pub").write_text(public, "ascii")
    write_new(folder / f"{what}.key", secret)
    return public, secret


def _approve(
    connection: Connection, document: Document, officers: Mapping[str, tuple[str, bytes]], now: float
) -> list[Change]:
    """Let each officer sign each grant of the province and each workflow, as with `lgsp access approve`."""
    changes = [
        change
        for proposal in document.grants
        for name, (_, secret) in officers.items()
        for change in granting.approve_grant(
            connection, proposal.grant.id, name, approvals.approve(proposal.grant.canonical(), name, secret), now
        )
    ]
    for subject, held in proposals.proposals(connection, "in-force").items():
        for name, (_, secret) in officers.items() if subject.what == WORKFLOW else ():
            signature = approvals.approve(held.body.encode(), name, secret)
            changes += proposals.approve(connection, subject, name, signature, now)[0]
    return changes


def rsa_keys(count: int) -> list[PrivateKey]:
    """New RSA-3072 keys: for encryption, which serve both protocols, and for stacks that cannot sign on P-256."""
    with ThreadPoolExecutor() as several:  # generating is slow, and OpenSSL releases the interpreter's lock
        return list(several.map(lambda _: algorithms.new_private("RSA-3072"), range(count)))


def _enrol(connection: Connection, settings: Settings, base: str, document: Document, now: float) -> list[Change]:
    """Make keys, certificates and an identity folder for each system of the province."""
    keyring = Keyring(settings)
    title = Words("Hệ thống chưa đăng ký", "A system that is not registered")
    unregistered = System(UNREGISTERED, "H14.99", title, {}, None)
    everyone = (*document.systems, unregistered)
    heavy = [system.id for system in everyone if system.id not in live.LIGHT]
    made = iter(rsa_keys(2 * len(heavy)))
    rsa = {name: (next(made), next(made)) for name in heavy}
    changes: list[Change] = []
    for system in everyone:
        certificates = make_identity(keyring, base, system, rsa.get(system.id), now)
        if system is not unregistered:  # its certificate is valid, but it is not registered: for tests of refusals
            changes += register_keys(connection, system, certificates)
    return changes


def register_keys(connection: Connection, system: System, certificates: Certificates) -> list[Change]:
    """Register the keys of a system's identity."""
    return [
        change
        for name, use in _USES.items()
        if name in certificates
        for change in store.add_key(connection, f"{system.id}.{name}-1", system.id, use, certificates[name])
    ]


def make_identity(
    keyring: Keyring, base: str, system: System, rsa: tuple[PrivateKey, PrivateKey] | None, now: float
) -> Certificates:
    """The folder of a system's keys and certificates, by the embedded authority. `rsa`: to encrypt, and to sign for
    stacks without P-256; without it all keys are on P-256.
    """
    tls, sign, settings = keyring.issuer("tls"), keyring.issuer("sign"), keyring.settings
    folder = settings.identities / system.id
    folder.mkdir(parents=True, mode=0o700)
    tls_key, sign_key = algorithms.new_private(), algorithms.new_private()
    encrypt_key = algorithms.new_private() if rsa is None else rsa[0]
    keys = {"tls": tls_key, "sign": sign_key, "encrypt": encrypt_key} | ({} if rsa is None else {"sign-rsa": rsa[1]})
    hosts = ("localhost", "127.0.0.1") if system.endpoint is not None else ()
    agency = system.agency
    certificates = {
        "tls": authority.issue_tls(tls, system.id, tls_key.public_key(), now, hosts=hosts, agency=agency),
        "sign": authority.issue_signing(sign, system.id, sign_key.public_key(), now, agency=agency),
        "encrypt": authority.issue_encryption(sign, system.id, encrypt_key.public_key(), now, agency=agency),
    }
    if rsa is not None:
        certificates["sign-rsa"] = authority.issue_signing(sign, system.id, rsa[1].public_key(), now, agency=agency)
    for name, key in keys.items():
        write_new(folder / f"{name}.key", authority.private_pem(key))
        (folder / f"{name}.crt").write_bytes(certificates[name] + (tls.pem if name == "tls" else b""))
    shutil.copyfile(keyring.trust_anchors, folder / "ca.crt")
    shutil.copyfile(keyring.sign_certificate, folder / "gateway-sign.crt")
    shutil.copyfile(keyring.encrypt_certificate, folder / "gateway-encrypt.crt")
    shutil.copyfile(keyring.log_vkey, folder / "log.vkey")
    about = {
        "system": system.id,
        "agency": system.agency,
        "sign_key_id": f"{system.id}.sign-1",
        **({} if rsa is None else {"sign_rsa_key_id": f"{system.id}.sign-rsa-1"}),
        "tls_key_id": f"{system.id}.tls-1",
        "encrypt_key_id": f"{system.id}.encrypt-1",
        "gateway": base,
        "gateway_key_id": SIGN_KEY_ID,
        "gateway_encrypt_key_id": DECRYPT_KEY_ID,
    }
    (folder / "system.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    for file in folder.iterdir():  # whoever can write these chooses whom the system trusts
        file.chmod(0o600)
    return certificates


def _hosts(settings: Settings) -> tuple[str, ...]:
    host = urlsplit(settings.base).hostname or "localhost"
    return tuple(dict.fromkeys((host, "localhost", "127.0.0.1")))


def _summary(changes: list[Change]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for change in changes:
        name = f"{change.what} {change.how}"
        counts[name] = counts.get(name, 0) + 1
    return counts
