"""How a whole instance comes about, by the real programs, with a row in every table: what an insider finds who has the
database of a gateway in use.

It is made as a province is (`make_instance`), backed up, restored under a new origin of the log, confirmed, and used:
commands change the registry, an exchange carries transfers of every state, the keeper delivers, sequences, indexes,
destroys a key of the vault, and asks a witness and a time-stamp authority.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Column, Table, insert

from gateway.audit.log.changes import note_changes
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.verify.forms import JSON
from gateway.audit.witnessing.admission import STAMPS, WITNESSES, AdmissionDeadline
from gateway.audit.witnessing.config import Witness
from gateway.audit.witnessing.verify import newest_cosigned, newest_stamped
from gateway.backup.restore import Asked, restore
from gateway.backup.take import Wanted, take
from gateway.console.accounts import sessions, store, tokens
from gateway.console.accounts.records import Account
from gateway.console.roles import Role
from gateway.delivery.queue import Taking, take_due
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import console_tables, mail_table, push_tables, tables, watch_tables
from gateway.journal.values import keep
from gateway.keeper.retention.destruction import Retention
from gateway.keeper.revocation_fetch import open_session
from gateway.keeper.tasks.certificate_status import OutsideAuthorities
from gateway.keeper.tasks.revocation_lists import renew, stored_list
from gateway.keeper.witnessing.coverage import CoverageTracker
from gateway.keeper.witnessing.stamps import Authority as Asking
from gateway.keeper.witnessing.stamps import Stamps
from gateway.keeper.witnessing.witnesses import Witnesses
from gateway.keys.authority import EmbeddedAuthority
from gateway.machines import acts, keeping, own
from gateway.registry.changes import deciding, passkeys
from gateway.registry.seals import account_rows, accounts
from gateway.registry.seals.sealing import Seal, changing
from gateway.sandbox import instance as sandbox
from gateway.settings import Settings, load
from security.algorithms import new_private
from security.transparency.checkpoint import NoteKey
from tests.attacks.audit.alarmcolumns import raise_alarms
from tests.attacks.audit.casecolumns import open_cases
from tests.attacks.audit.whole import Door, Whole, door, sample
from tests.audit.stamping import Authority
from tests.audit.witnessing.asking import honest
from tests.journal import databases
from tests.keeper.tasks.outside import Outside, new_key, pem
from tests.registry.editions import edition
from tests.registry.making import PROVINCE

ORIGIN = "tinh.example/lgsp"
DAY = 86_400.0
PROVIDERS = ("mo-phong", "do-thi", "kinh-te", "truong-ha")
GRANT = """grants:
  - id: G-0901
    agency: H14.21
    contract: indicator/v1
    operations: [getValue]
    fields: ["*"]
    purpose: Tra cứu chỉ tiêu của phường
    legal_basis: Quy chế ban hành kèm theo Quyết định 451/QĐ-UBND, Điều 11
    valid_from: 2026-01-01
    valid_until: 2030-12-31
    quota: {calls: 50, per: month}
  - id: G-0904
    agency: H14.6
    contract: camera-event/v2
    operations: [submitEvent]
    purpose: Gửi sự kiện camera
    legal_basis: Quy chế ban hành kèm theo Quyết định 451/QĐ-UBND, Điều 11
    valid_from: 2026-01-01
    valid_until: 2030-12-31
  - id: G-0903
    agency: H14.5
    contract: official-document/v1
    operations: [sendDocument]
    purpose: Gửi văn bản điện tử
    legal_basis: Quyết định 28/2018/QĐ-TTg
    valid_from: 2026-01-01
    valid_until: 2030-12-31
  - id: G-0906
    agency: H14.3
    contract: official-document/v1
    operations: [sendDocument]
    receives: true
    purpose: Nhận văn bản điện tử
    legal_basis: Quyết định 28/2018/QĐ-TTg
    valid_from: 2026-01-01
    valid_until: 2030-12-31
  - id: G-0902
    agency: H14.22
    contract: indicator/v1
    operations: [getValue]
    fields: ["*"]
    purpose: Tra cứu chỉ tiêu của xã
    legal_basis: Quy chế ban hành kèm theo Quyết định 451/QĐ-UBND, Điều 11
    valid_from: 2026-01-01
    valid_until: 2030-12-31
"""


def build(kind: str, folder: Path) -> Whole:
    """Some seconds; nobody changes what this gives."""
    now = time.time() - 20 * DAY
    old = _first(kind, folder, now)
    whole = _restored(kind, folder, old, now + DAY)
    _registry(whole)
    _console(whole)
    open_cases(whole)
    raise_alarms(whole)
    with door(whole) as used:
        _early(used)
    whole.sequence()
    whole.now = time.time() - DAY / 2
    _retention(whole)
    with door(whole, "door-2") as used:
        _late(used)
        whole.now = time.time() - 300
        whole.sequence()
        whole.open_handlings()
        with Authority(folder / "authority") as authority:
            _witnessed(whole, folder, authority)
            used.call("alert 6", "canh-bao", "incident-alert/v1", "submitAlert")
            whole.sequence(2)
            _witnessed(whole, folder, authority)
        whole.index()
        whole.take_up_keys()
        whole.look_for_ends()
        _pending(used)
    return whole


def _first(kind: str, folder: Path, now: float) -> Settings:
    url = "" if kind == "sqlite" else databases.fresh_url(kind, folder)
    settings = replace(Settings(folder / "old"), origin=ORIGIN, database=url)
    one = new_private("RSA-3072")
    before = sandbox.rsa_keys
    sandbox.rsa_keys = lambda count: [one] * count  # finding a dozen takes longer than all else here
    try:
        sandbox.make_instance(settings, dict.fromkeys(PROVIDERS, "https://localhost:1"), now, province=True)
    finally:
        sandbox.rsa_keys = before
    return settings


def _restored(kind: str, folder: Path, settings: Settings, now: float) -> Whole:
    """Backed up, used further, lost, restored: the log goes on under a new origin."""
    old = Whole.open(settings, now - DAY / 2)
    with door(old, "door-0") as used:
        for number in range(3):
            used.call(f"old {number}", "canh-bao", "incident-alert/v1", "submitAlert")
        used.call("old answered", "mot-cua-xa", "dossier-status/v1", "getStatus")
    old.sequence()

    def quiet(_what: str, _done: int, _all: int) -> None:
        pass

    _made, _digest, report = take(settings, folder / "backup", Wanted(plain_keys=True, vault_keys=True), old.now, quiet)
    assert report.ok, report.first_wrong
    old.engine.dispose()
    shutil.move(settings.data, folder / "lost")
    url = "" if kind == "sqlite" else str(databases.fresh_url("postgresql", folder))
    place = folder / "data"
    restore(folder / "backup", Asked(place, database=url), now, quiet)
    whole = Whole.open(load(place, {}), now + 600)
    whole.made |= {name: id for name, id in old.made.items() if name.startswith("old")}
    whole.command("restore", "confirm", "--by", "truc-ban")
    return whole


def _keeping_little(files: dict[str, str]) -> None:
    """Another major version, for what is kept of bodies may not change within one."""
    files["contract.yaml"] += "evidence: metadata\n"
    files["schema.json"] = (
        files["schema.json"].replace("camera-event:v1", "camera-event:v2").replace("camera-event/v1", "camera-event/v2")
    )


def _sign(whole: Whole, *subjects: str) -> None:
    for officer in ("can-bo-an-toan-1", "can-bo-an-toan-2"):
        key = whole.settings.data / "identities" / officer / "officer.key"
        if not key.exists():
            key = whole.settings.data.parent / "lost" / "identities" / officer / "officer.key"
        for subject in subjects:
            whole.command("access", "approve", subject, "--officer", officer, "--key", str(key))


def _console(whole: Whole) -> None:
    """A passkey that waits for signatures, and what people leave who work at the console."""
    public, now = new_private().public_key(), whole.now
    assert isinstance(public, ec.EllipticCurvePublicKey)
    with changing(whole.engine, Seal.of(whole.settings)) as act:
        changes = passkeys.propose(act.connection, "can-bo-an-toan-1", "Y3JlZA", "https://desk.example", public, now)
        deciding.record(act, changes, now, "test")
    with account_rows.changing(whole.engine, accounts.Seal.of(whole.settings), now, "test") as change:
        store.add(change, Account("lan", "H14.0", "Lan", (Role.AUDITOR,), True))
        store.set_factors(change, "lan", "$argon2id$", b"sealed")
        change.alter(tables.console_account, store.row_of(change, "lan"), {"step": 59_833_333})
        store.make_link(change, "lan")
        sessions.open_session(change, "lan", "link", "192.0.2.7")
        tokens.make(change, tokens.wanted("lan", "nightly report", 2, now))
        change.add(console_tables.console_passkey, {**_values(console_tables.console_passkey), "account": "lan"})
    with writing(whole.engine) as connection:
        for table in (
            console_tables.console_challenge,
            console_tables.console_filter,
            console_tables.console_job,
            console_tables.console_job_item,
            console_tables.console_draft,
            push_tables.push_subscription,
            push_tables.push_attempt,
            push_tables.push_key,
            mail_table.mail,
            watch_tables.probe_day,
            watch_tables.finding,
            tables.machine_bundle,
            tables.drop_claim,
            tables.opaque_body,
            tables.opaque_use,
            tables.report,
        ):
            connection.execute(insert(table).values(_values(table)))
        keep(connection, keeping.KEY, json.dumps({"generation": 1, "digest": "0" * 64}))
    own.take_place(replace(whole.settings, machine="one"), whole.engine, lambda: now)
    acts.drain(whole.engine, "one", acts.By("test", now, "its disk is replaced"))


def _values(table: Table) -> dict[str, Any]:
    forms = JSON.get(table.name, {})
    return {column.name: "{}" if column.name in forms else _value(column) for column in table.columns}


def _value(column: Column[Any]) -> Any:
    return {str: "x", bytes: b"x", int: 1, float: 1.0, bool: True}[column.type.python_type]


def _registry(whole: Whole) -> None:
    """Changes by the commands: a contract that keeps little, a grant with a quota, one that is suspended, a key
    revoked, a system suspended."""
    later = edition("2.0.0", _keeping_little, contract="camera-event")
    for path, raw in later.files.items():
        place = whole.settings.data.parent / "camera-event" / "v2" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(raw)
    whole.command("contract", "publish", str(whole.settings.data.parent / "camera-event" / "v2"))
    file = whole.settings.data.parent / "grants.yaml"
    file.write_text(GRANT, "utf-8")
    whole.command("access", "propose", str(file))
    _sign(whole, "G-0901", "G-0902", "G-0903", "G-0904", "G-0906")
    told = ("--reason-vi", "Đang thay chứng thư", "--reason-en", "Its certificate is being replaced")
    whole.command("access", "suspend", "G-0902", *told, "--until", "2030-01-01")
    whole.command("registry", "suspend", "system", "y-te", *told)
    with writing(whole.engine) as connection:
        renew(connection, EmbeddedAuthority(whole.settings), whole.now)
        whole.empty_list = stored_list(connection, "tls") or b""
    whole.now += 60
    whole.command("registry", "revoke", "quan-trac.tls-1", "--reason", "keyCompromise")
    _outside(whole)
    whole.now += 60
    with writing(whole.engine) as connection:
        renew(connection, EmbeddedAuthority(whole.settings), whole.now)
        note_changes(connection, whole.settings, whole.now)
        note_changes(connection, replace(whole.settings, witness_seconds=61.0), whole.now + 1)


def _outside(whole: Whole) -> None:
    """An authority that is not ours issued a key of `truong-ha`, by a list of what it revoked."""
    folder, made = whole.settings.data.parent, Outside(whole.now)
    (folder / "issuer.crl").write_bytes(made.crl(number=1))
    (folder / "root.crl").write_bytes(made.crl(root=True))
    document = yaml.safe_load(PROVINCE)
    lists = [f"file:{folder / name}.crl" for name in ("issuer", "root")]
    document["authorities"] = [
        {"name": "chuyen-dung", "uses": ["tls", "sign"], "certificates": made.pem, "crl": lists, "grace": 24}
    ]
    system = next(each for each in document["systems"] if each["id"] == "truong-ha")
    system["keys"] = [{"id": "truong-ha.tls-2", "use": "tls", "certificate": pem(made.issue("truong-ha", new_key()))}]
    route = {"contract": "official-document/v1", "operation": "sendDocument"}
    kept = [each for each in document["routes"] if not route.items() <= each.items()]
    document["routes"] = [*kept, {**route, "system": "do-thi"}]
    file = folder / "registry.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    whole.command("registry", "apply", str(file))
    _sign(whole, "route/official-document/v1/sendDocument")

    async def ask() -> list[str]:
        async with open_session() as session:
            return await OutsideAuthorities(
                whole.engine, lock_of(whole.engine), session, 0.0, Seal.of(whole.settings), clock=lambda: whole.now
            ).ask_all()

    assert asyncio.run(ask()) == []


def _early(used: Door) -> None:
    """Weeks ago: what is kept for a short time only is past its retention by now."""
    used.call("short", "bao-chay", "camera-event/v2", "submitEvent")
    used.call("alert 1", "canh-bao", "incident-alert/v1", "submitAlert")
    used.call("alert 2", "bao-chay", "incident-alert/v1", "submitAlert")
    used.call("alert 3", "canh-bao", "incident-alert/v1", "submitAlert")
    used.whole.command("backup", str(used.whole.settings.data.parent / "backup-2"), "--plain-keys")
    used.whole.command(
        "vault", "hold", "add", "vu-an-1", "--reason", "Công văn 12/CV-CA", "--transfer", used.whole.made["alert 1"]
    )
    used.whole.command(
        "vault", "hold", "add", "vu-an-2", "--reason", "Công văn 13/CV-CA", "--transfer", used.whole.made["alert 3"]
    )
    used.whole.command("vault", "hold", "release", "vu-an-2", "--reason", "Công văn 14/CV-CA")


def _retention(whole: Whole) -> None:
    Retention(whole.engine, None, whole.vault, lambda: whole.now, clock_is_right=True).run(whole.lease, whole.now)


def _late(used: Door) -> None:
    report = ("phan-anh", "field-report/v1", "createRequest")
    used.call("answered 1", "thuc-phan", "indicator/v1", "getValue")
    used.call("answered 2", "thuc-phan", "indicator/v1", "getValue")
    used.whole.counted = used.whole.now
    used.call("asked", "mot-cua-xa", "dossier-status/v1", "getStatus")
    used.call("dispatched", *report)
    used.call("refused by its provider", *report, does="refuse")
    used.call("in doubt", "phan-anh", "official-document/v1", "sendDocument", does="silent")
    used.call("given up", *report, does="down")
    used.deliver("down", rounds=4)
    used.call("delivered", *report, does="down")
    used.deliver("answer")
    used.call("repeat", "thuc-phan", "indicator/v1", "getValue", message="answered 1")
    used.call("refused", "thuc-phan", "dossier-status/v1", "getStatus")
    used.call("leased", *report, does="down")
    used.whole.now += 3600
    take_due(used.whole.engine, lock_of(used.whole.engine), used.whole.lease, Taking("door-2", used.whole.now, 10))
    used.call("queued 1", *report, does="down")
    used.call("queued 2", *report, does="down", area="01392")
    used.call("forwarding", *report, does="die")
    used.call("alert 4", "canh-bao", "incident-alert/v1", "submitAlert")
    used.call("alert 5", "canh-bao", "incident-alert/v1", "submitAlert")
    used.call("first alert", "canh-bao", "incident-alert/v1", "submitAlert")
    alert = sample(used.registry.snapshot.contracts["incident-alert/v1"], "Alert")
    later = [{**each, "expires": "2030-12-31T00:00:00+07:00"} for each in alert["info"]]
    used.call("ends later", "canh-bao", "incident-alert/v1", "submitAlert", fields={"info": later})
    corrects = {"msgType": "Update", "references": f"{alert['sender']},first-alert,{alert['sent']}"}
    used.call("corrected alert", "canh-bao", "incident-alert/v1", "submitAlert", fields=corrects)


def _pending(used: Door) -> None:
    """What came after the last look of the sequencer."""
    used.call("pending 1", "canh-bao", "incident-alert/v1", "submitAlert")
    used.call("pending 2", "bao-chay", "incident-alert/v1", "submitAlert")


def _witnessed(whole: Whole, folder: Path, authority: Authority) -> None:
    """A witness cosigns, an authority stamps: both by the keeper's own tasks, over loopback."""
    engine, lock, log = whole.engine, lock_of(whole.engine), whole.settings.data / "log"
    key, file = NoteKey.from_text(whole.vkey), CheckpointFile(whole.settings.checkpoint_file)
    licence = AdmissionDeadline(log / "licence", frozenset())

    async def rounds() -> None:
        async with (
            honest(folder / "witness", "witness.example/w1", whole.vkey) as witness,
            aiohttp.ClientSession() as session,
        ):
            known = [witness.witness.key]  # the same at each call: its key lies in its folder
            cosigned = partial(_cosigned, key, known)
            tracker = CoverageTracker(WITNESSES, 60.0, engine, lock, licence, time.time, cosigned, file)
            await Witnesses(tracker, session, [Witness(witness.witness.url, known[0])], 1, log / "cosigned").run_once(
                whole.lease
            )
            stamped = partial(_stamped, key, authority.trusted)
            asked = Asking(session, authority.url, authority.trusted, time.time)
            tracker = CoverageTracker(STAMPS, 3600.0, engine, lock, licence, time.time, stamped, file)
            await Stamps(tracker, asked, 0.001).run_once(whole.lease)
            whole.witness, whole.anchors = known[0], authority.trusted

    asyncio.run(rounds())


def _cosigned(key: NoteKey, known: Any, connection: Any, top: int, now: float) -> tuple[int, float]:
    return newest_cosigned(connection, key, top, now, known, 1)


def _stamped(key: NoteKey, anchors: Any, connection: Any, top: int, now: float) -> tuple[int, float]:
    return newest_stamped(connection, key, top, now, anchors)
