"""Certificates for systems: what a request asks for, the order to the keeper, and what comes back.

The desk holds no key of an authority: the keeper carries the order out (`gateway.registry.changes.enrolment_orders`).
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM, CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.console.work import board
from gateway.console.work.searching import moment
from gateway.journal import jobs
from gateway.journal.append import append
from gateway.journal.jobs import STOPPED, Job
from gateway.keys import handout
from gateway.keys.authority import EmbeddedAuthority
from gateway.registry.changes import enrolment, keys
from gateway.registry.changes.enrolment import Wanted
from gateway.registry.changes.enrolment_orders import END, KIND, MOST, Enrolment, Older, Piece
from gateway.registry.changes.orders import Orders
from gateway.registry.errors import REGISTRY_KEY_TAKEN
from gateway.registry.parts.identities import ID_MAX, KEY_ID
from gateway.registry.records import Use
from gateway.transfer import entries
from security.algorithms import PublicKey
from security.errors import KEY_UNACCEPTABLE
from security.keys import UNREADABLE, load_certificate
from security.pki.chains import authority_of

USES: Final[tuple[Use, ...]] = ("tls", "sign", "encrypt")
NO_IDS: Final[Mapping[Use, str]] = {}


class Looked(NamedTuple):
    """What one request or certificate says. `before`: a key of the registry with the same public key.

    `failure`: why it cannot be enrolled. `digest` is SHA-256 of the public key (SubjectPublicKeyInfo), to compare by
    telephone.
    """

    piece: Piece
    subject: str = ""
    kind: str = ""
    digest: str = ""
    hosts: tuple[str, ...] = ()
    until: float | None = None  # of a certificate
    before: str | None = None
    failure: Failure | None = None


def pieces(texts: Mapping[str, str]) -> dict[Use, str]:
    """The requests and certificates of a form by use. Raises `console.form`."""
    given: dict[Use, str] = {}
    for use in USES:
        text = texts.get(use, "").strip()
        if not text:
            continue
        if len(text) > MOST or not text.isascii():
            raise CONSOLE_FORM(field=use, why=f"PEM, {MOST} characters at most")
        if "-----BEGIN " not in text or "PRIVATE KEY" in text:
            raise CONSOLE_FORM(field=use, why="a certificate request or a certificate in PEM, and no private key")
        given[use] = text.replace("\r\n", "\n") + "\n"
    if not given:
        raise CONSOLE_FORM(field=", ".join(USES), why="missing")
    return given


def named(texts: Mapping[str, str]) -> dict[Use, str]:
    """The ids that the keys of a form are to have, by use; without one a key has the next of its system.

    Raises `console.form`.
    """
    ids = {use: texts.get(f"{use}-id", "").strip() for use in USES}
    for use, key in ids.items():
        if key and (len(key) > ID_MAX or not KEY_ID.fullmatch(key)):
            raise CONSOLE_FORM(field=f"{use}-id", why=f"{KEY_ID.pattern}, {ID_MAX} characters at most")
    chosen = {use: key for use, key in ids.items() if key}
    if len(set(chosen.values())) < len(chosen):
        raise CONSOLE_FORM(field=f"{next(reversed(chosen))}-id", why="the same id for two keys")
    return chosen


def look(
    desk: Desk, viewer: Viewer, id: str, given: Mapping[Use, str], ids: Mapping[Use, str] = NO_IDS
) -> tuple[Looked, ...]:
    """Reads what is asked for, and checks it as the keeper will. Raises `console.no-page`."""
    board.system_of(desk, viewer, id)
    with desk.reading() as connection:
        return tuple(_look(desk, connection, id, each) for each in _pieces(connection, id, given, ids))


def ask(desk: Desk, viewer: Viewer, id: str, given: Mapping[Use, str], how: Mapping[str, str], reason: str) -> Job:
    """Orders the certificates. `how`: `older`, `until` for `until`, and `USE-id` for a key's own id.

    Raises `console.form`, `console.no-page`, and why a request cannot be answered.
    """
    board.system_of(desk, viewer, id)
    now = desk.now()
    (older, until), ids = _older(how, now), named(how)
    with desk.writing() as connection:
        wanted = _pieces(connection, id, given, ids)
        for piece in wanted:
            if (failure := _look(desk, connection, id, piece).failure) is not None:
                raise failure
        order = Enrolment(tuple(wanted), older, until)
        job = Orders(desk.hash_key).give(connection, (KIND, id), order.order(), (viewer.actor, reason), now)
        facts: dict[str, Any] = {
            "job": job.id,
            "system": id,
            "keys": [each.key for each in wanted],
            "requests": [hashlib.sha256(each.pem.encode()).hexdigest() for each in wanted],
            "older": older.value,
            "reason": reason,
            **({} if until is None else {"until": rfc3339(until)}),
        }
        append(connection, [entries.note(KIND, facts, now, actor=viewer.actor)])
    return job


def enrolment_of(desk: Desk, viewer: Viewer, id: str, job: str) -> Job:
    """Raises `console.no-page`."""
    board.system_of(desk, viewer, id)
    with desk.reading() as connection:
        found = jobs.find(connection, job)
    if found is None or (found.kind, found.subject) != (KIND, id):
        raise CONSOLE_NO_PAGE(path=job[:60])
    return found


def keep(desk: Desk, viewer: Viewer, id: str, job: str, reason: str) -> None:
    """Withdraws the order that ends older keys: they stay in force. Raises `console.no-page`."""
    board.system_of(desk, viewer, id)
    now = desk.now()
    with desk.writing() as connection:
        found = jobs.find(connection, job, lock=True)
        if found is None or (found.kind, found.subject, found.state) != (END, id, jobs.RUNNING):
            raise CONSOLE_NO_PAGE(path=job[:60])
        jobs.change(connection, found, now, STOPPED)
        facts = {"job": job, "system": id, "keys": _keys_of(found), "step": "withdrawn", "reason": reason}
        append(connection, [entries.note(END, facts, now, actor=viewer.actor)])


def certificate(job: Job, use: str) -> bytes:
    """An issued certificate (PEM). Raises `console.no-page`."""
    for each in enrolled(job):
        if each["use"] == use:
            return str(each["certificate"]).encode("ascii")
    raise CONSOLE_NO_PAGE(path=use[:20])


def enrolled(job: Job) -> list[dict[str, Any]]:
    """What the keeper issued or registered."""
    return list(job.facts.get("enrolled", ()))


def package(desk: Desk, job: Job) -> bytes:
    """All that goes to the system: its certificates, their key ids, and the gateway's handout. Nothing is secret."""
    files = {f"{each['use']}.crt": str(each["certificate"]).encode("ascii") for each in enrolled(job)}
    if not files:
        raise CONSOLE_NO_PAGE(path="package")
    ids = {each["use"]: each["key"] for each in enrolled(job)}
    named = [f"--{use}-key-id {ids[use]}" for use in ("sign", "encrypt") if use in ids]
    install = " ".join(
        ["lgsp client install FOLDER", *(f"--certificate {name}" for name in files), "--trust handout", *named]
    )
    files["keys.json"] = json.dumps({"system": job.subject, "keys": ids}, indent=2).encode() + b"\n"
    files["README.txt"] = (
        f"Chứng thư của hệ thống {job.subject}. Cài đặt bên cạnh khóa riêng:\n"
        f"Certificates of the system {job.subject}. Install them beside its private keys:\n\n  {install}\n\n"
        "Hãy nhận gói này qua kênh tin cậy, và so dấu vân tay của handout/ca.crt qua điện thoại.\n"
        "Take this package by a way that you trust, and compare the fingerprint of handout/ca.crt by telephone.\n"
    ).encode()
    return _zip({**files, **_handout(desk, "handout/")})


def handout_package(desk: Desk) -> bytes:
    """What any system has to be told of the gateway."""
    return _zip(_handout(desk, ""))


def _handout(desk: Desk, prefix: str) -> dict[str, bytes]:
    """Raises `console.no-page` where the instance's files are not."""
    try:
        files = handout.files(desk.services.settings)
    except (OSError, Failure):
        raise CONSOLE_NO_PAGE(path="handout") from None
    return {prefix + name: content for name, content in files.items()}


def _zip(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return written.getvalue()


def _older(how: Mapping[str, str], now: float) -> tuple[Older, int | None]:
    text = how.get("older", "")
    if text not in list(Older):
        raise CONSOLE_FORM(field="older", why=" | ".join(Older))
    if text != Older.UNTIL:
        return Older(text), None
    until = moment(how.get("until", "").strip() or None, "until", whole=True)
    if until is None or until <= now:
        raise CONSOLE_FORM(field="until", why="missing" if until is None else "not after now")
    return Older.UNTIL, int(until)


def _pieces(connection: Connection, id: str, given: Mapping[Use, str], ids: Mapping[Use, str]) -> list[Piece]:
    """With the ids that the keys will get. A next id is one that no order that waits was promised."""
    promised = [
        piece["key"]
        for job in jobs.running(connection, KIND)
        for piece in job.facts.get("order", {}).get("pieces", ())
        if job.subject == id
    ]
    return [
        Piece(use, ids.get(use) or enrolment.next_id(connection, id, use, promised), pem) for use, pem in given.items()
    ]


def _look(desk: Desk, connection: Connection, id: str, piece: Piece) -> Looked:
    try:
        if (holder := keys.system_of(connection, piece.key)) is not None:
            raise REGISTRY_KEY_TAKEN(id=piece.key, system=holder)
        if piece.is_request:
            request = x509.load_pem_x509_csr(piece.pem.encode("ascii"))
            asked = enrolment.checked(connection, Wanted(id, piece.use, piece.key), piece.pem.encode("ascii"))
            public, subject, hosts, until = asked.public, request.subject, asked.hosts, None
        else:
            parsed = load_certificate(piece.pem)
            trusts = keys.trusted(connection, EmbeddedAuthority(desk.services.settings).trust())
            authority_of(parsed, trusts, piece.use, desk.now())
            public, subject, hosts = parsed.public_key(), parsed.subject, ()  # type: ignore[assignment]
            until = parsed.not_valid_after_utc.timestamp()
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Failure as failure:
        return Looked(piece, failure=failure)
    except UNREADABLE:
        return Looked(piece, failure=KEY_UNACCEPTABLE(rule="PKCS#10, X.509 PEM"))
    return Looked(
        piece=piece,
        subject=subject.rfc4514_string()[:400],
        kind=_kind(public),
        digest=hashlib.sha256(spki).hexdigest(),
        hosts=hosts,
        until=until,
        before=_before(connection, id, spki),
    )


def _kind(public: PublicKey) -> str:
    if isinstance(public, rsa.RSAPublicKey):
        return f"RSA {public.key_size}"
    return f"EC {public.curve.name}" if isinstance(public, ec.EllipticCurvePublicKey) else type(public).__name__


def _before(connection: Connection, id: str, spki: bytes) -> str | None:
    for key_id, pem in keys.certificates_of(connection, id):
        own = load_certificate(pem).public_key()
        if own.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki:
            return key_id
    return None


def _keys_of(job: Job) -> list[str]:
    return [str(each) for each in job.facts.get("order", {}).get("keys", ())]


def shown(job: Job) -> dict[str, Any]:
    """An order for programs, with the certificates when they are there."""
    trouble = job.facts.get("trouble")
    return {
        **job.shown(),
        "system": job.subject,
        "certificates": enrolled(job),
        "older": list(job.facts.get("older", ())),
        "trouble": None if trouble is None else {"code": trouble["code"], "what": trouble["en"]["what"]},
    }
