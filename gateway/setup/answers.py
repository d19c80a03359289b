"""What an operator answers before a production instance is made: five questions, or one file with the same names.

    name: LGSP của tỉnh                            # stands in the certificates of the authority
    public_base: https://trao-doi.tinh.example     # as component systems call it
    secret_file: /etc/lgsp/secret                  # made if it is not there; keep a copy elsewhere
    root_key_to: /mnt/khoa-goc                     # a mounted medium, to which the root's key is moved; empty: it stays
    officers:                                      # two or more, each with a key of their own
      - {id: can-bo-1, agency: H14.5, agency_name: Sở Khoa học và Công nghệ, name: Cán bộ an toàn, key: can-bo-1.pub}
      - {id: can-bo-2, agency: H14.6, agency_name: Công an tỉnh, name: Cán bộ an ninh mạng, key: can-bo-2.pub}
    database: ""                                   # empty: SQLite in the data folder; several servers: with a standby

A file may also have `desk_base` (https, the address of the pages for people, else they are on this machine alone),
`people` (as officers, with `role: operator` or `auditor`), `registry` (a file with the rest of the
first registry document) and `settings` (further settings by name). Paths of a file are relative to it.

Invariant: no private key is an answer, and none is made of one. A file with a private key in place of a public one is
refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from errno import EACCES
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from contracts.base import safeyaml
from contracts.base.errors import Failure
from contracts.base.words import Words
from gateway.keys.key_encryption import AtRest
from gateway.registry.parts.officers import OFFICER_ID
from gateway.registry.parts.parties import AGENCY_CODE
from gateway.settings import BadSetting
from gateway.settings.sources import at_line, is_database
from security.grants.approvals import load_public

ROOT_KEY: Final = "root.key"
LARGEST: Final = 4_000_000  # bytes of an answer file, of a registry document and of a key
_LEAST_OFFICERS: Final = 2
_MOST_OF_NAME: Final = 64 - len(" sign issuer 999")  # of a common name (RFC 5280, appendix A.1)
_NAMES: Final = frozenset(
    {
        *("name", "public_base", "secret_file", "officers", "database"),
        *("desk_base", "people", "registry", "root_key_to", "settings"),
    }
)
_OF_PERSON: Final = frozenset({"id", "agency", "agency_name", "name", "key", "role"})
_PRIVATE: Final = re.compile(rb"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----")


@dataclass(frozen=True, slots=True)
class Person:
    """An officer, or who operates or audits. `key`: the public key or a certificate, in PEM. `agency_name` may be
    empty: another person of the agency has it, or its code stands for it.
    """

    id: str
    agency: str
    agency_name: str
    name: str
    key: str
    role: str


@dataclass(frozen=True, slots=True)
class Answers:
    """`registry` is the rest of the first document, empty without one. `root_key_to` is None to leave the key there."""

    name: str
    public_base: str
    secret_file: Path
    persons: tuple[Person, ...]
    database: str = ""
    desk_base: str = ""
    registry: Mapping[str, Any] = field(default_factory=dict)
    root_key_to: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Words] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Source:
    """What the answers stand in: a file with the line of each, or a terminal."""

    path: Path | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    of_settings: Mapping[str, int] = field(default_factory=dict)

    def of(self, name: str) -> Words:
        """Where an answer stands, such as `people[0].key`."""
        if self.path is None:
            return Words("setup", "setup")
        line = self.lines.get(re.split(r"[.\[]", name)[0])
        return at_line(self.path, line) if line is not None else Words(str(self.path), str(self.path))

    def places(self) -> Mapping[str, Words]:
        """Where each answer stands that is looked at later."""
        if self.path is None:
            return {}
        own = {name: self.of(name) for name in
               ("name", "public_base", "desk_base", "secret_file", "database", "root_key_to")}  # fmt: skip
        own |= dict.fromkeys(("origin", "exchange_port"), self.of("public_base"))
        own |= dict.fromkeys(("desk_host", "desk_port", "desk_tls"), self.of("desk_base"))
        return own | {name: at_line(self.path, line) for name, line in self.of_settings.items()}


def from_file(path: Path) -> Answers:
    """Raises `BadSetting` with the place in the file, and OSError where it cannot be read."""
    content = _mapping(path, _yaml(path))
    text = _read(path)
    source = _Source(path, safeyaml.lines(text), safeyaml.lines(text, "settings"))
    return from_values(content, path.absolute().parent, source)


def from_values(values: Mapping[str, Any], folder: Path, where: _Source | None = None) -> Answers:
    """Check answers; relative paths are those of `folder`. Raises `BadSetting`."""
    where = where or _Source()
    for name in values:
        if name not in _NAMES:
            raise _wrong(where, name, f"một trong {', '.join(sorted(_NAMES))}", f"one of {', '.join(sorted(_NAMES))}")
    registry_file = values.get("registry")
    registry = (
        {} if registry_file is None else _mapping(folder / str(registry_file), _yaml(folder / str(registry_file)))
    )
    persons = [
        *_persons(where, "officers", values.get("officers") or [], folder, "officer"),
        *_persons(where, "people", values.get("people") or [], folder, "operator"),
    ]
    officers = [*(each for each in persons if each.role == "officer"), *(registry.get("officers") or [])]
    if len(officers) < _LEAST_OFFICERS:
        raise _wrong(where, "officers", "ít nhất hai cán bộ, mỗi người một khóa", "two officers or more, a key each")
    further = values.get("settings") or {}
    root_key_to = values.get("root_key_to") or None
    public_base, desk_base = _address(where, "public_base", values.get("public_base")), ""
    if values.get("desk_base") is not None:
        desk_base = _address(where, "desk_base", values["desk_base"])
        if desk_base == public_base:
            raise _wrong(where, "desk_base", "một cổng mạng khác public_base", "another port than that of public_base")
    return Answers(
        name=_short(where, "name", values.get("name")),
        public_base=public_base,
        secret_file=_path(folder, _text(where, "secret_file", values.get("secret_file"))),
        persons=tuple(persons),
        database=_database(where, str(values.get("database") or "")),
        desk_base=desk_base,
        registry=registry,
        root_key_to=None if root_key_to is None else _path(folder, str(root_key_to)),
        settings=_mapping(where.of("settings").en, further),
        places=where.places(),
    )


def check(name: str, value: str, folder: Path) -> None:
    """One answer alone, as it is typed: `id`, `agency` and `key` are of a person. Raises `BadSetting`."""
    where = _Source()
    if name in ("public_base", "desk_base"):
        _address(where, name, value)
    elif name == "name":
        _short(where, name, value)
    elif name == "secret_file":
        file = _path(folder, _text(where, name, value))
        if file.exists():
            _sound(file, lambda: AtRest.from_file(file))
    elif name == "root_key_to":
        _mounted(where.of(name), _path(folder, value))
    elif name == "registry":
        _mapping(folder / value, _yaml(folder / value))
    elif name == "database":
        _database(where, value)
    elif name == "id" and OFFICER_ID.fullmatch(value) is None:
        raise _wrong(
            where, name, "chữ thường, chữ số, dấu gạch nối: can-bo-1", "lowercase letters, digits, hyphens: can-bo-1"
        )
    elif name == "agency" and AGENCY_CODE.fullmatch(value) is None:
        raise _wrong(where, name, "mã đơn vị như H14.5", "a code such as H14.5")
    elif name == "key":
        _sound(folder / value, lambda: load_public(public_key(folder / value)))
    _text(where, name, value)


def _sound(file: Path, read: Callable[[], object]) -> None:
    try:
        read()
    except Failure as trouble:
        raise BadSetting(Words(f"{file}: {trouble.what('vi')}", f"{file}: {trouble.what('en')}")) from None


def ready_for_key(where: Words, folder: Path, key: Path) -> None:
    """Before anything is made. `key`: that of the root, which an earlier run may have copied there.

    Raises `BadSetting`, and OSError if nobody may write there.
    """
    _mounted(where, folder)
    there = folder / ROOT_KEY
    if there.exists() and key.exists() and there.samefile(key):
        wrong = Words("chính là khóa trên máy này", "is the key on this machine itself")
    elif there.exists() and not (key.exists() and there.read_bytes() == key.read_bytes()):
        wrong = Words(
            "đã có: khóa của một phiên bản khác, hoặc bản chép dở; hãy dùng vật lưu giữ khác, hoặc xóa bản chép dở",
            "is there already: of another instance, or a copy that was cut short; take another medium, or delete that",
        )
    elif not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(EACCES, os.strerror(EACCES), str(folder))
    else:
        return
    raise BadSetting(
        Words(f"{where.vi}: root_key_to: {there} {wrong.vi}", f"{where.en}: root_key_to: {there} {wrong.en}")
    )


def _mounted(where: Words, folder: Path) -> None:
    """A folder that is not there is not made: a medium that nobody mounted would leave the key on this disk."""
    if not folder.is_dir():
        raise BadSetting(
            Words(
                f"{where.vi}: root_key_to: {folder} chưa có: hãy gắn vật lưu giữ trước",
                f"{where.en}: root_key_to: {folder} is no folder: mount the medium there first",
            )
        )


def _persons(where: _Source, what: str, raw: Any, folder: Path, role: str) -> list[Person]:
    if not isinstance(raw, list):
        raise _wrong(where, what, "một danh sách", "a list")
    found = []
    for number, each in enumerate(raw):
        place = f"{what}[{number}]"
        item = _mapping(f"{where.of(what).en}: {place}", each)
        for name in item:
            if name not in _OF_PERSON or name == "role" and role == "officer":
                raise _wrong(where, f"{place}.{name}", "không có mục này", "no such entry")
        texts = {name: _text(where, f"{place}.{name}", item.get(name)) for name in ("id", "agency", "name", "key")}
        key = public_key(folder / texts["key"])
        agency_name = str(item.get("agency_name") or "")
        found.append(
            Person(texts["id"], texts["agency"], agency_name, texts["name"], key, str(item.get("role") or role))
        )
    return found


def public_key(path: Path) -> str:
    """The public key of an officer's file. Raises `BadSetting`: a private key stays with its officer."""
    content = _read(path)
    if _PRIVATE.search(content):
        raise BadSetting(
            Words(
                f"{path} là khóa bí mật: hãy để cán bộ tự giữ, và chỉ nộp khóa công khai"
                " (openssl pkey -in officer.key -pubout)",
                f"{path} is a private key: its officer keeps it, and hands over the public one only"
                " (openssl pkey -in officer.key -pubout)",
            )
        )
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise _wrong(_Source(path), "key", "khóa công khai dạng PEM", "a public key in PEM") from None


def _address(where: _Source, name: str, value: Any) -> str:
    text = _text(where, name, value).rstrip("/")
    try:
        parts = urlsplit(text)
        sound = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.path or parts.query or parts.fragment or parts.username:
        raise _wrong(where, name, "https://TÊN hoặc https://TÊN:CỔNG", "https://NAME or https://NAME:PORT")
    return text


def _database(where: _Source, address: str) -> str:
    if address and not is_database(address):
        right = ("postgresql://TÀI_KHOẢN:MẬT_KHẨU@MÁY/TÊN", "postgresql://USER:PASSWORD@HOST/NAME")
        raise _wrong(where, "database", *right)
    return address


def _short(where: _Source, name: str, value: Any) -> str:
    text = _text(where, name, value)
    if len(text.encode()) > _MOST_OF_NAME:
        raise _wrong(
            where,
            name,
            f"nhiều nhất {_MOST_OF_NAME} byte UTF-8 (chữ có dấu chiếm 2 hoặc 3), vì tên có trong chứng thư",
            f"at most {_MOST_OF_NAME} bytes in UTF-8, as it stands in certificates",
        )
    return text


def _path(folder: Path, text: str) -> Path:
    return Path(os.path.normpath(folder / text))


def _text(where: _Source, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(where, name, "một dòng chữ", "a text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # a terminal with another encoding
        raise _wrong(where, name, "chữ theo UTF-8", "a text in UTF-8") from None
    return value.strip()


def _mapping(where: Path | str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value):
        raise BadSetting(Words(f"{where}: cần các dòng `tên: giá trị`", f"{where}: expected `name: value` lines"))
    return value


def _yaml(path: Path) -> Any:
    try:
        return safeyaml.load(_read(path).decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as trouble:
        reason = safeyaml.why(trouble)
        raise BadSetting(Words(f"{path}: không phải YAML: {reason}", f"{path}: no YAML: {reason}")) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as trouble:
        raise BadSetting(
            Words(f"không đọc được {path}: {trouble.strerror}", f"{path} cannot be read: {trouble.strerror}")
        ) from None
    if len(content) > LARGEST:
        raise BadSetting(Words(f"{path} lớn hơn {LARGEST} byte", f"{path} is larger than {LARGEST} bytes"))
    return content


def _wrong(where: _Source, name: str, right_vi: str, right_en: str) -> BadSetting:
    at = where.of(name)
    return BadSetting(Words(f"{at.vi}: {name}: cần {right_vi}", f"{at.en}: {name}: expected {right_en}"))
