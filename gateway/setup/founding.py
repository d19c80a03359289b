"""Makes the instance of the answers: settings, secret, keys and database, the first document, an account a person.

Theory of operation
1. Everything is checked first: the answers, the settings, the whole registry document against the catalogue, that the
   root's key can be moved where the answers say, and that what is written will be confirmed.
2. The secret is made if it is not there, then the instance, whole or not at all (`gateway.sandbox.instance`).
3. One transaction founds the registry (`gateway.registry.changes.applying`): all of the document is in force.
4. Each person gets an account with a link that signs in once. The root's key is copied, read back, and deleted here.
A run that was cut short goes on where it stopped: an instance that nobody is registered in is founded, one that has
the same people gets the accounts that are missing, and the root's key is moved if it is still here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import yaml
from sqlalchemy import Engine

from contracts.base.words import Words
from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from gateway.console.accounts import store as accounts
from gateway.console.accounts.records import Account
from gateway.durable import sync_folder, write_new
from gateway.journal.database import open_engine
from gateway.journal.errors import JOURNAL_NO_STANDBY
from gateway.journal.limits import RETRY_SECONDS
from gateway.keys import overview
from gateway.keys.authority import EmbeddedAuthority
from gateway.registry.changes import applying
from gateway.registry.changes.document import Document, parse
from gateway.registry.changes.officers import officers, persons
from gateway.registry.changes.proposals import founds
from gateway.registry.own_feed import WITH_CATALOGUE
from gateway.registry.seals import account_rows
from gateway.registry.seals import accounts as account_seals
from gateway.registry.seals.sealing import Seal, changing
from gateway.registry.snapshot import load_snapshot
from gateway.sandbox.instance import make_instance
from gateway.settings import CREDENTIAL, BadSetting, Settings, load
from gateway.settings.saving import save
from gateway.settings.sources import Written, checked, written
from gateway.setup.answers import ROOT_KEY, Answers, Person, ready_for_key
from security.grants.approvals import Officer

SECRET_BYTES: Final = 32
_LEVEL: Final = "department"


@dataclass(frozen=True, slots=True)
class Invited:
    """A person of the instance. `link` signs in to the console once; empty for one who had an account.

    `thumbprint` is the base64url SHA-256 of the public key.
    """

    id: str
    role: str
    thumbprint: str
    link: str


@dataclass(frozen=True, slots=True)
class Made:
    """`root_key` is where the key of the authority's root lies now. `unlike`: answers that an instance which was there
    before was not compared with; None for one that was founded now."""

    settings: Settings
    secret: Path | None
    secret_made: bool
    people: tuple[Invited, ...]
    root_thumbprint: str
    root_key: Path
    unlike: tuple[str, ...] | None = None


def settings_of(answers: Answers, first: First, data: Path, environment: Mapping[str, str]) -> Settings:
    """Write the settings of a new instance and read them back. Settings that lie there stay, but for the answers.

    Raises `BadSetting`, which names the file and line of the setting, and OSError for the place of the root's key;
    then the folder is as it was.
    """
    before, lies = load(data, environment), written(data)
    if before.is_made:
        _check_same(before, answers, first, lies)
    if answers.root_key_to is not None and (not before.is_made or (before.authority / ROOT_KEY).exists()):
        where = answers.places.get("root_key_to", Words("setup", "setup"))
        if before.holds(answers.root_key_to):
            raise BadSetting(
                Words(
                    f"{where.vi}: root_key_to nằm trong thư mục dữ liệu; hãy chọn thư mục của một vật lưu giữ",
                    f"{where.en}: root_key_to lies in the data folder; name the folder of a medium",
                )
            )
        ready_for_key(where, answers.root_key_to, before.authority / ROOT_KEY)
    if before.is_made:
        return before
    parts = urlsplit(answers.public_base)
    values: dict[str, Any] = {
        "host": "0.0.0.0",  # noqa: S104 # component systems call from other machines
        "origin": f"{parts.hostname}/lgsp",
        **_standby(answers.database),
        **lies.values,
        "kind": "production",
        **({"exchange_port": parts.port} if parts.port is not None else {}),
        **(_desk(answers.desk_base) if answers.desk_base else {}),
        **_answered(answers),
    }
    stated = Written(values, {**lies.places, **answers.places})
    checked(data, stated, environment)
    own = checked(data, stated, {})  # the environment is not written down
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    save(own)
    return load(data, environment)


def _answered(answers: Answers) -> dict[str, Any]:
    """The settings that the answers name themselves. An empty answer leaves what lies there."""
    return {
        "name": answers.name,
        "public_base": answers.public_base,
        "secret_file": str(answers.secret_file),
        **({"database": answers.database} if answers.database else {}),
        **({"desk_base": answers.desk_base} if answers.desk_base else {}),
        **answers.settings,
    }


def _check_same(before: Settings, answers: Answers, first: First, lies: Written) -> None:
    """Whoever corrects an answer shall not believe that it was done. Raises `BadSetting` with each difference."""
    data, answered = before.data, _answered(answers)
    stated = Written({**lies.values, **answered}, {**lies.places, **answers.places})
    has, wanted = checked(data, lies, {}), checked(data, stated, {})
    if has.secret_file.startswith(CREDENTIAL):  # what systemd hands over is the file of the answers
        del answered["secret_file"]
    differing = {name: getattr(has, name) for name in answered if getattr(has, name) != getattr(wanted, name)}
    pairs = [(name, _shown(value), _shown(getattr(wanted, name))) for name, value in differing.items()]
    pairs += _people_differ(before, answers, first)
    if not pairs:
        return
    vi = "; ".join(f"{name}: phiên bản có {old}, câu trả lời là {new}" for name, old, new in pairs)
    en = "; ".join(f"{name}: the instance has {old}, the answers say {new}" for name, old, new in pairs)
    raise BadSetting(
        Words(
            f"phiên bản tại {data} đã được tạo khác với câu trả lời, và không đổi bằng `lgsp setup`: {vi}. Chuyển cơ sở"
            " dữ liệu bằng `lgsp move`; thiết lập khác thì sửa settings.yaml; đơn vị và người thì dùng"
            " `lgsp registry apply`; hoặc chọn thư mục khác (--data)",
            f"the instance in {data} is made, and `lgsp setup` does not change it: {en}. Move the database by"
            " `lgsp move`; change another setting in settings.yaml, agencies and people by `lgsp registry apply`; or"
            " name another folder (--data)",
        )
    )


def _people_differ(settings: Settings, answers: Answers, first: First) -> list[tuple[str, str, str]]:
    """What the registry has otherwise of the people and of the agencies that the answers name; none is founded yet: no
    difference."""
    engine = open_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            if founds(connection):
                return []
            known = officers(connection) | persons(connection)
            agencies = load_snapshot(connection).agencies
    finally:
        engine.dispose()
    named = {each.agency for each in answers.persons if each.agency_name}
    pairs = [
        (f"agency_name ({each.code})", str(agencies[each.code].name.vi) if each.code in agencies else "–", each.name.vi)
        for each in first.document.agencies
        if each.code in named
    ]
    for each in _everyone(first):
        had = known.get(each.id)
        if had is None:
            pairs.append((each.id, "–", each.thumbprint))
            continue
        pairs += [
            (f"{each.id}, agency", had.agency, each.agency),
            (f"{each.id}, name", had.name.vi, each.name.vi),
            (f"{each.id}, role", had.role, each.role),
            (f"{each.id}, key", had.thumbprint, each.thumbprint),
        ]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _shown(value: object) -> str:
    """A value of a setting, without the password of an address."""
    scheme, there, rest = str(value).partition("://")
    user, at, place = rest.rpartition("@")
    bare = f"{scheme}{there}{user.partition(':')[0]}:***@{place}" if at else str(value)
    return re.sub(r"([?&]password=)[^&]*", r"\1***", bare) or repr(value)


def _standby(database: str) -> dict[str, Any]:
    """Whoever names several servers has a standby: what is acknowledged shall outlive the primary."""
    hosts = ",".join(parse_qs(urlsplit(database).query).get("host", []))
    return {"standby": "required"} if "," in hosts else {}


def _desk(base: str) -> dict[str, Any]:
    """Pages for people on other machines: TLS by the embedded authority, and links that name this address."""
    port = urlsplit(base).port
    desk: dict[str, Any] = {"desk_base": base, "desk_host": "0.0.0.0", "desk_tls": "embedded"}  # noqa: S104 # the same
    return desk | ({"desk_port": port} if port is not None else {})


class First(NamedTuple):
    """The first registry document."""

    text: str
    document: Document


def document_of(answers: Answers) -> First:
    """The first registry document, as text and checked. Raises `registry.invalid` with all faults, `BadSetting`."""
    document = dict(answers.registry)
    known = {each.get("code") for each in document.get("agencies") or [] if isinstance(each, dict)}
    missing = {each.agency: each.agency for each in answers.persons if each.agency not in known}
    missing |= {e.agency: e.agency_name for e in reversed(answers.persons) if e.agency in missing and e.agency_name}
    document["agencies"] = [
        *(document.get("agencies") or []),
        *({"code": c, "name": _both(name), "level": _LEVEL} for c, name in missing.items()),
    ]
    for what, own in (("officers", True), ("people", False)):
        stated = [*(document.get(what) or []), *(_stated(e) for e in answers.persons if (e.role == "officer") == own)]
        if stated:
            document[what] = stated
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    compiled = [compile_bundle(Bundle.from_folder(each)) for each in (*catalogue_folders(), *WITH_CATALOGUE)]
    return First(text, parse(text, {each.contract.name: each for each in compiled}))


def make(settings: Settings, answers: Answers, first: First, actor: str, now: float) -> Made:
    """Make and found the instance. Raises `BadSetting`, `FolderTaken`, OSError."""
    _check_standby(settings)
    secret_made = _secret(settings)
    if not settings.is_made:
        make_instance(settings, {}, now, province=False)
    engine = open_engine(settings.database_url)
    try:
        founded = _found(settings, first, engine, actor, now)
        links = _invite(settings, first, engine, actor, now)
    finally:
        engine.dispose()
    root, unlike = settings.authority / ROOT_KEY, ["registry"] if answers.registry else []
    unlike += ["database"] if settings.database and not answers.database else []  # left empty: what lies there
    if answers.root_key_to is not None and root.exists():
        root = _moved(root, answers.root_key_to)
    elif answers.root_key_to is not None:
        root = answers.root_key_to / ROOT_KEY  # an earlier run moved it
        unlike += [] if root.exists() else ["root_key_to"]  # perhaps elsewhere
    root_thumbprint = next(iter(overview.authorities(settings))).thumbprint
    # A credential of systemd is a copy that goes with the command; the answers name the file that lasts.
    secret = answers.secret_file if settings.secret_file.startswith(CREDENTIAL) else settings.secret_path
    return Made(settings, secret, secret_made, links, root_thumbprint, root, None if founded else tuple(unlike))


def _check_standby(settings: Settings) -> None:
    """Where the server waits for a standby that is not there, COMMIT would never end: nothing is written then. Raises
    `journal.no-standby`."""
    engine = open_engine(settings.database_url)
    try:
        if engine.dialect.name != "postgresql":
            return
        from gateway.journal.standby import lacks

        with engine.connect() as connection:
            lack = lacks(connection.connection.driver_connection)  # type: ignore[arg-type]
            waits = connection.exec_driver_sql("SHOW synchronous_standby_names").scalar_one() != ""
    finally:
        engine.dispose()
    if lack is not None and (settings.standby == "required" or waits):
        raise JOURNAL_NO_STANDBY(retry_after=RETRY_SECONDS, reason=lack)


def _secret(settings: Settings) -> bool:
    """Make the secret of the keys, for this user alone, if its file is not there. Whether it was made."""
    path = settings.secret_path
    if path is None or settings.secret_file.startswith(CREDENTIAL) or path.exists() or settings.is_made:
        return False
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_new(path, os.urandom(SECRET_BYTES))
    return True


def _found(settings: Settings, first: First, engine: Engine, actor: str, now: float) -> bool:
    """Whether it was not founded before, by the same people (`settings_of`)."""
    with changing(engine, Seal.of(settings)) as act:
        if not founds(act.connection):
            return False
        applied = applying.apply_text(
            act.connection, first.text, load_snapshot(act.connection), EmbeddedAuthority(settings).trust(), now, None
        )
        act.note(applying.NOTE, applied.facts(), now, actor=actor)
    return True


def _invite(settings: Settings, first: First, engine: Engine, actor: str, now: float) -> tuple[Invited, ...]:
    invited = []
    with account_rows.changing(engine, account_seals.Seal.of(settings), now, actor) as change:
        for each in _everyone(first):
            link = ""
            if accounts.row_of(change, each.id) is None:
                accounts.add(change, Account(each.id, each.agency, each.name.vi, accounts.roles_of([each.role]), True))
                link = f"{settings.desk_named}/console/link/{accounts.make_link(change, each.id)}"
            invited.append(Invited(each.id, each.role, each.thumbprint, link))
    return tuple(invited)


def _everyone(first: First) -> tuple[Officer, ...]:
    return (*(first.document.officers or ()), *(first.document.persons or ()))


def _moved(key: Path, folder: Path) -> Path:
    """The key in the folder, the same byte by byte; only then it is deleted here."""
    there, content = folder / key.name, key.read_bytes()
    try:
        write_new(there, content)
    except FileExistsError:
        if there.samefile(key) or there.read_bytes() != content:  # made since, by somebody else
            raise
        with there.open("rb") as copy:  # of an earlier run, which ended before it was safe
            os.fsync(copy.fileno())
    if there.read_bytes() != content:
        raise OSError(None, "the copy differs from the key", str(there))
    sync_folder(folder)  # a medium may be pulled out at once
    key.unlink()
    return there


def _stated(person: Person) -> dict[str, Any]:
    role = {} if person.role == "officer" else {"role": person.role}
    return {"id": person.id, "agency": person.agency, "name": _both(person.name), **role, "key": person.key}


def _both(text: str) -> dict[str, str]:
    return {"vi": text, "en": text}
