"""The doctor finds each weakness that it knows of, in an instance that has it, and nothing in a sound one."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, insert, text

from gateway.backup.manifest import FORMAT, LAST
from gateway.doctor import examine, network, store
from gateway.doctor.findings import kinds
from gateway.doctor.network import accepts_old_tls
from gateway.journal.database import knows, open_engine, writing
from gateway.journal.schema import tables
from gateway.keys.keyring import Keyring
from gateway.registry import identity
from gateway.registry.restore_lock import confirm, hold
from gateway.registry.seals import account_rows, accounts
from gateway.registry.seals.sealing import Seal, accept, changing
from gateway.registry.store import apply
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings, load
from gateway.settings.saving import save
from security import algorithms
from security.pki import authority
from tests import commandline
from tests.doctor.apart import APART
from tests.journal.databases import downgrade
from tests.registry.making import PROVINCE, province

DAY = 86_400.0


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Production as it should be: protected, founded, its root key away, under an address of its own."""
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "secret").write_bytes(secrets.token_bytes(32))
    (folder / "secret").chmod(0o600)
    made = Settings(
        folder / "data",
        kind="production",
        secret_file=str(folder / "secret"),
        public_base="https://trao-doi.invalid",
        host="0.0.0.0",
        origin="tinh.example/lgsp",
        vault_backup=str(folder / "copies"),
        backup_days=0,
    )
    make_instance(made, {}, time.time(), province=False)
    everything = yaml.safe_load(PROVINCE)
    people = province(yaml.safe_dump({what: everything[what] for what in ("agencies", "officers", "people")}))
    with changing(open_engine(made.database_url), Seal.of(made)) as act:
        apply(people, act.connection, time.time())
        act.note("registry", {}, time.time())
    (made.authority / "root.key").unlink()
    return made


@pytest.fixture
def settings(sound: Settings, tmp_path: Path) -> Settings:
    """A copy to be spoiled."""
    shutil.copytree(sound.data, tmp_path / "data")
    return replace(sound, data=tmp_path / "data")


def codes(settings: Settings, later: float = 0.0) -> set[str]:
    now = time.time() + later
    return {each.kind.code for each in examine(settings, lambda: now)}


def test_a_sound_instance_has_nothing_to_mend(sound: Settings) -> None:
    with running(sound):
        assert codes(sound) <= {"disk.low", "disk.full", "witness.none"}


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """Holds the lock of `lgsp up`."""
    settings.run.mkdir(exist_ok=True, mode=0o700)
    folder = os.open(settings.run, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(folder)


def key(settings: Settings, until: float, kind: Any = "P-256", outside: str | None = None) -> None:
    public = algorithms.new_private(kind).public_key()
    now = time.time()
    pem = authority.issue_signing(Keyring(settings).issuer("sign"), "y-te", public, now)
    row = {
        "key_id": f"y-te.{kind}-{until}",
        "system": "y-te",
        "use": "sign",
        "thumbprint": secrets.token_hex(8),
        "certificate": pem.decode(),
        "authority": outside,
    }
    with writing(open_engine(settings.database_url)) as connection:
        connection.execute(insert(tables.system_key).values(valid_from=now, valid_until=until, state="active", **row))


def revoked(settings: Settings) -> None:
    key(settings, time.time() + 300 * DAY)
    edited(settings, "UPDATE system_key SET state = 'revoked'")


def write(path: Path, data: bytes | str, mode: int = 0o600) -> None:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    path.chmod(mode)


def damage(settings: Settings) -> None:
    file = settings.data / "lgsp.db"
    data = bytearray(file.read_bytes())
    for page in range(3, len(data) // 4096, 2):
        data[page * 4096 : page * 4096 + 40] = secrets.token_bytes(40)
    file.write_bytes(data)


def at_revision(settings: Settings, wanted: str) -> None:
    """Of an older program its tables, of a newer one the number alone: who reads it does not know more."""
    with writing(open_engine(settings.database_url)) as connection:
        if knows(wanted):
            return downgrade(connection, wanted)
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{wanted}', served = NULL"))


def waiting(settings: Settings) -> None:
    with writing(open_engine(settings.database_url)) as connection:
        rows = [
            {"transfer": f"t{n}", "phase": "note", "entry": b"{}", "leaf": secrets.token_bytes(32)}
            for n in range(10_001)
        ]
        connection.execute(insert(tables.log_pending), rows)


def redirected(settings: Settings) -> None:
    event = {
        "contract": "incident-alert/v1",
        "offset": 1,
        "transfer": "t-1",
        "event": "{}",
        "body_ref": "t-2/canonical",
        "sequenced": 0.0,
    }
    with writing(open_engine(settings.database_url)) as connection:
        connection.execute(insert(tables.feed_event).values(event))
        connection.execute(insert(tables.instance).values(key="sandbox.invitation.x", value="{}"))


def backed_up(settings: Settings, mode: int = 0o700, **facts: Any) -> Settings:
    folder = settings.data.parent / "backup"
    (folder / "vault-keys").mkdir(parents=True)
    folder.chmod(mode)
    last = {"folder": str(folder), "keys": "sealed", "vault_keys_until": None, **facts}
    with writing(open_engine(settings.database_url)) as connection:
        connection.execute(insert(tables.instance).values(key=LAST, value=json.dumps(last)))
    return settings


def restored(settings: Settings, *, practice: bool = False) -> None:
    with writing(open_engine(settings.database_url)) as connection:
        hold(connection, time.time(), {"backup": {"practice": practice}})


def edited(settings: Settings, *statements: str) -> None:
    engine = open_engine(settings.database_url)
    account_rows.adopt(engine, accounts.Seal.of(settings), time.time())  # as the first start does
    with writing(engine) as connection:
        for statement in statements:
            connection.execute(text(statement))


def quarantined(settings: Settings) -> None:
    folder = settings.drop_root / "so-lieu" / "quarantine"
    folder.mkdir(parents=True)
    (folder / "x.csv").touch()


def copied_inside(folder: Path) -> None:
    folder.mkdir(parents=True)
    write(folder / "manifest.json", json.dumps({"format": FORMAT}))


CASES: dict[str, Callable[[Settings], Settings | None]] = {
    "files.modes": lambda s: (s.keys / "sign.key").chmod(0o640),
    "files.open": lambda s: s.data.chmod(0o755),
    "files.quarantined": quarantined,
    "files.settings-secret": lambda s: write(
        s.data / "settings.yaml", "database: postgresql://lgsp:mat-khau@db/lgsp\n", 0o644
    ),
    "keys.unprotected": lambda s: write(s.keys / "hash.key", b"x" * 32),
    "keys.locked": lambda s: write(s.keys / "hash.key", b"LGSP sealed 1\n" + b"x" * 80),
    "keys.root-online": lambda s: write(s.authority / "root.key", b"LGSP sealed 1\n"),
    "keys.short": lambda s: key(s, time.time() + 300 * DAY, "RSA-2048"),
    "certificate.systems-ending": lambda s: key(s, time.time() + 3 * DAY),
    "certificate.status-overdue": lambda s: key(s, time.time() + 300 * DAY, outside="chuyen-dung"),
    "systems.revoked": revoked,
    "persons.none": lambda s: edited(s, "DELETE FROM person", "DELETE FROM officer"),
    "base.not-https": lambda s: replace(s, public_base="http://trao-doi.invalid"),
    "base.local": lambda s: replace(s, public_base="https://localhost:8443"),
    "listen.sandbox-open": lambda s: replace(s, kind="sandbox", host="10.20.0.5"),
    "listen.desk-open": lambda s: replace(s, desk_host="0.0.0.0"),
    "alarm.settings": lambda s: replace(s, alarm_url="http://soc.tinh.example"),
    "mail.settings": lambda s: replace(s, mail_server="smtp://mail.example", mail_from="nobody"),
    "openid.settings": lambda s: replace(s, oidc_issuer="http://sso.example", oidc_client="lgsp"),
    "listen.desk-broken": lambda s: replace(s, desk_edge="everybody"),
    "listen.loopback": lambda s: replace(s, host="127.0.0.1"),
    "instance.not-running": lambda s: None,
    "edge.nobody": lambda s: replace(s, edge_port=8444),
    "edge.unused": lambda s: replace(s, edge_proxies="ab" * 32),
    "edge.folder": lambda s: replace(s, edge_socket=str(s.data / "none" / "edge.sock")),
    "settings.origin": lambda s: replace(s, origin=Settings(s.data).origin),
    "settings.tokens-long": lambda s: replace(s, token_seconds=86_400),
    "database.unreachable": lambda s: replace(s, database="postgresql://lgsp@127.0.0.1:1/lgsp"),
    "database.damaged": damage,
    "database.older": lambda s: at_revision(s, "0004"),
    "database.newer": lambda s: at_revision(s, "9999"),
    "database.altered": lambda s: edited(
        s, "CREATE TRIGGER vanish AFTER INSERT ON log_pending BEGIN DELETE FROM log_pending; END"
    ),
    "instance.other": lambda s: edited(
        s, """UPDATE instance SET value = '{"origin": "khac.example/lgsp", "log": "00"}' WHERE key = 'identity'"""
    ),
    "registry.altered": lambda s: edited(s, "UPDATE bundle SET withdrawn = 1"),
    "accounts.altered": lambda s: edited(s, "INSERT INTO console_link VALUES ('x', 'x', 'x', 1)"),
    "log.waiting": waiting,
    "rows.changed": redirected,
    "invitations.changed": redirected,
    "log.checkpoint": lambda s: s.checkpoint_file.mkdir(parents=True),
    "witness.none": lambda s: replace(s, witness_policy="off", stamp_policy="off"),
    "backup.never": lambda s: replace(s, backup_days=1),
    "backup.old": lambda s: backed_up(replace(s, backup_days=1), at=time.time() - 2 * DAY),
    "restore.held": restored,
    "restore.practice": lambda s: restored(s, practice=True),
    "backup.inside": lambda s: copied_inside(s.data / "copies" / "1"),
    "backup.modes": lambda s: backed_up(s, at=time.time(), mode=0o755),
    "backup.plain-keys": lambda s: backed_up(s, at=time.time(), keys="plain"),
    "backup.vault-keys": lambda s: backed_up(s, at=time.time(), vault_keys_until=time.time() - 1),
}


@pytest.mark.parametrize("code", CASES)
def test_what_is_weak_is_named(code: str, settings: Settings) -> None:
    spoiled = CASES[code](settings) or settings
    told = codes(spoiled)
    assert code in told and (code == "database.unreachable" or "database.unreachable" not in told)


@pytest.mark.parametrize("other", [{}, {"edge_socket": "/run/lgsp/edge.sock"}, {"edge_port": 8444}])
def test_an_exchange_listener_that_others_or_an_edge_reach_is_no_trouble(sound: Settings, other: Any) -> None:
    settings = replace(sound, host="127.0.0.1" if other else "10.20.0.5", **other)
    assert not {"listen.loopback", "listen.desk-open"} & {each.kind.code for each in network.addresses(settings)}


def test_the_address_of_the_metrics_is_looked_at(sound: Settings) -> None:
    open_ones = replace(sound, metrics_host="10.20.0.5", metrics_port=9464)
    assert [each.facts["host"] for each in network.addresses(open_ones)] == ["10.20.0.5"]
    assert not list(network.addresses(replace(open_ones, metrics_port=0)))


def test_every_finding_is_tried_and_says_everything_in_both_languages() -> None:
    assert set(kinds()) == set(CASES) | APART
    for kind in kinds().values():
        for words in (kind.what, kind.why, kind.next):
            assert words.vi and words.en and "trục" not in words.vi.lower()
            assert set(re.findall(r"{\w+}", words.vi)) == set(re.findall(r"{\w+}", words.en)), kind.code
        assert kind.what.vi != kind.what.en


def test_a_restore_that_was_confirmed_is_no_trouble(settings: Settings) -> None:
    restored(settings)
    with writing(open_engine(settings.database_url)) as connection:
        confirm(connection)
    assert "restore.held" not in codes(settings)


def test_certificates_are_named_before_and_after_their_end(settings: Settings) -> None:
    assert "certificate.ending" in codes(settings, 80 * DAY)
    late = [each for each in examine(settings, lambda: time.time() + 91 * DAY) if each.kind.code == "certificate.ended"]
    assert {each.facts["name"] for each in late} == {"gateway.server-1", "gateway.client-1"}
    assert all(each.facts["next"].startswith("lgsp keys rotate ") for each in late)


def test_a_certificate_with_a_successor_is_no_trouble(settings: Settings) -> None:
    key(settings, time.time() + 3 * DAY)
    key(settings, time.time() + 300 * DAY)
    assert "certificate.systems-ending" not in codes(settings)


def test_a_clock_apart_from_the_databases(database: Engine) -> None:
    with database.connect() as connection:
        for wrong in (-60.0, 60.0):
            told = {each.kind.code for each in store.database(connection, lambda: time.time() + wrong)}  # noqa: B023
            assert told == ({"clock.skew"} if database.dialect.name == "postgresql" else set())
        assert not list(store.database(connection, time.time))


def test_a_disk_that_fills(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, code in ((50, "disk.full"), (500, "disk.low")):
        monkeypatch.setattr(
            shutil, "disk_usage", lambda _path, free=free: shutil._ntuple_diskusage(1 << 40, 0, free << 20)
        )
        assert [each.kind.code for each in store.disk(settings)] == [code]


@contextmanager
def listening(settings: Settings, oldest: ssl.TLSVersion) -> Iterator[int]:
    keyring = Keyring(settings)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = oldest
    context.load_cert_chain(keyring.server_certificate, keyring.server_key, keyring.at_rest.password or b"")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                with context.wrap_socket(server.accept()[0], server_side=True):
                    pass
            except OSError:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(60)


def test_an_old_tls_is_found_where_it_is_accepted(settings: Settings) -> None:
    with listening(settings, ssl.TLSVersion.TLSv1) as port:
        here = replace(settings, public_base=f"https://localhost:{port}")
        assert "tls.old" in codes(here)
    with listening(settings, ssl.TLSVersion.TLSv1_2) as port:
        assert not accepts_old_tls("127.0.0.1", port)


def test_a_sandbox_may_be_what_it_is(settings: Settings) -> None:
    weak = replace(settings, kind="sandbox", host="127.0.0.1", public_base="", origin=Settings(settings.data).origin)
    write(weak.authority / "root.key", b"LGSP sealed 1\n")
    engine = open_engine(weak.database_url)
    accept(engine, Seal.of(weak), "the log has another origin", "test", time.time())
    with writing(engine) as connection:
        identity.record(connection, weak)
    assert codes(weak) <= {"disk.low", "disk.full"}


def test_the_command_ends_with_one_where_something_is_grave(settings: Settings) -> None:
    save(settings)

    def told() -> tuple[int, dict[str, Any]]:
        ended = commandline.lgsp("doctor", "--data", str(settings.data), "--json")
        return ended.code, json.loads(ended.out)

    with running(settings):
        code, before = told()
    assert (code, before["ok"]) == (0, True) or any(each["code"].startswith("disk.") for each in before["findings"])
    (settings.keys / "sign.key").chmod(0o644)
    code, after = told()
    (finding,) = [each for each in after["findings"] if each["code"] == "files.modes"]
    assert (code, after["ok"], finding["grave"]) == (1, False, True)
    assert str(settings.keys / "sign.key") in finding["vi"]["what"] and finding["en"]["next"]


def test_a_secret_that_is_not_there_is_told_once(settings: Settings) -> None:
    away = replace(settings, secret_file=str(settings.data.parent / "no-secret"))
    found = [each for each in examine(away, time.time) if each.kind.code == "keys.locked"]
    assert [(each.facts["name"], each.facts["reason"][-1] != ".") for each in found] == [("secret_file", True)]


def test_settings_are_saved_for_their_owner_alone(tmp_path: Path) -> None:
    settings = Settings(tmp_path, database="postgresql://lgsp:mat-khau@db/lgsp")
    (tmp_path / "settings.yaml").touch(0o644)
    save(settings)
    assert (tmp_path / "settings.yaml").stat().st_mode & 0o777 == 0o600 and load(tmp_path, {}) == settings
