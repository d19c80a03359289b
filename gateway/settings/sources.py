"""Reads the settings of an instance from its file and the environment, by pydantic-settings.

It is imported only when settings are read, because pydantic takes longer to import than most commands to run.
Invariant: types, bounds and defaults are those of `Settings`; an undeclared name is refused.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args, get_type_hints
from urllib.parse import parse_qs, urlsplit

import yaml
from pydantic import Field, ValidationError, create_model
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from contracts.base import safeyaml
from contracts.base.words import Words
from gateway.settings import FILE, NOT_SETTINGS, PREFIX, ROLES, BadSetting, Settings

_FIELDS: Final = {each.name: each for each in fields(Settings) if each.name != "data"}
_TYPES: Final = get_type_hints(Settings)
# Variables that Kubernetes and Docker set in containers for a service named "lgsp".
_OF_SERVICES: Final = re.compile(r"SERVICE_(HOST|PORT(_\w+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")


class Written(NamedTuple):
    """Values of settings by name, and where each stands: file and line."""

    values: Mapping[str, Any]
    places: Mapping[str, Words]


def read(data: Path, environment: Mapping[str, str]) -> Settings:
    """The settings of the instance in `data`. Raises `BadSetting` with name and place."""
    return checked(data, written(data), environment)


def checked(data: Path, stated: Written, environment: Mapping[str, str]) -> Settings:
    """The settings that these values make, with those of the environment above them. Nothing is written. Raises
    `BadSetting`."""
    path, by_name = data / FILE, _environment(environment)

    def where(name: str) -> Words:
        return _ENVIRONMENT if name in by_name else stated.places.get(name, Words(str(path), str(path)))

    for name in stated.values:
        if name not in _FIELDS:
            raise _unknown(where(name), name, _FIELDS)

    class Sources(BaseSettings):
        model_config = SettingsConfigDict(extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False)

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            *_: PydanticBaseSettingsSource,
            **__: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            variables = EnvSettingsSource(settings_cls, env_prefix=PREFIX)
            variables.env_vars = {f"{PREFIX}{name}".lower(): value for name, value in by_name.items()}
            return variables, init_settings

    declared: dict[str, Any] = {
        name: (_TYPES[name], Field(default=each.default, **each.metadata["bounds"])) for name, each in _FIELDS.items()
    }
    model = create_model("Read", __base__=Sources, **declared)
    # YAML 1.1 reads `off` as false.
    given = {
        name: "off" if value is False and "off" in get_args(_TYPES[name]) else value
        for name, value in stated.values.items()
    }
    try:
        values = model(**given).model_dump()
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = str(first["loc"][0])
        shown, right = repr(first["input"])[:80], expected(name)
        raise _wrong(
            where(name), f"{name} là {shown}; giá trị đúng là {right.vi}", f"{name} is {shown}; it must be {right.en}"
        ) from None
    settings = Settings(data, **values)
    _check_places(settings, where)
    _check_networks(settings, where)
    _check_databases(settings, where)
    _check_roles(settings, where)
    return settings


_ENVIRONMENT: Final = Words("biến môi trường", "the environment")
_Where = Callable[[str], Words]  # of the setting of that name


def _wrong(where: Words, vi: str, en: str) -> BadSetting:
    return BadSetting(Words(f"{where.vi}: {vi}", f"{where.en}: {en}"))


def at_line(path: Path, line: int) -> Words:
    return Words(f"{path}, dòng {line}", f"{path}, line {line}")


def written(data: Path) -> Written:
    """What `settings.yaml` in `data` says; nothing without the file. Raises `BadSetting`."""
    path = data / FILE
    if not path.exists():
        return Written({}, {})
    try:
        text = path.read_text("utf-8")
        document, lines = safeyaml.load(text), safeyaml.lines(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as trouble:
        mark = getattr(trouble, "problem_mark", None)
        where = Words(str(path), str(path)) if mark is None else at_line(path, mark.line + 1)
        reason = getattr(trouble, "problem", None) or trouble
        raise _wrong(
            where,
            f"{reason}; cần các dòng `tên: giá trị` bằng UTF-8",
            f"{reason}; `name: value` lines in UTF-8 are expected",
        ) from None
    if document is not None and not isinstance(document, dict):
        raise BadSetting(Words(f"{path}: cần các dòng `tên: giá trị`", f"{path}: expected `name: value` lines"))
    values = {str(name): value for name, value in (document or {}).items()}
    return Written(values, {name: at_line(path, line) for name, line in lines.items()})


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings in the environment by name. Raises `BadSetting` for an unknown variable with the prefix."""
    by_name: dict[str, str] = {}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        name = variable.removeprefix(PREFIX)
        if name.lower() in _FIELDS:
            by_name[name.lower()] = value
        elif not _OF_SERVICES.fullmatch(name) and not (name == "PORT" and "://" in value):
            raise _unknown(_ENVIRONMENT, variable, [*(f"{PREFIX}{each.upper()}" for each in _FIELDS), *NOT_SETTINGS])
    return by_name


def _unknown(where: Words, name: str, known: Iterable[str]) -> BadSetting:
    near = difflib.get_close_matches(name.upper() if name.startswith(PREFIX) else name, list(known), n=1, cutoff=0.0)[0]
    return _wrong(
        where,
        f"không có thiết lập {name[:80]!r}; tên gần nhất là {near!r}",
        f"there is no setting {name[:80]!r}; the nearest is {near!r}",
    )


def _check_places(settings: Settings, where: _Where) -> None:
    if settings.secret_path is not None and settings.holds(settings.secret_path):
        raise _wrong(
            where("secret_file"),
            "secret_file nằm trong thư mục dữ liệu: bản sao của thư mục sẽ có cả bí mật. Hãy để ở nơi khác",
            "secret_file lies in the data folder; a copy of the folder would hold it. Keep it elsewhere",
        )
    if settings.vault_copies is not None and settings.holds(settings.vault_copies):
        raise _wrong(
            where("vault_backup"),
            "vault_backup nằm trong thư mục dữ liệu: bản sao của thư mục sẽ có cả các khóa. Hãy chọn nơi khác",
            "vault_backup lies in the data folder; what copies the folder would copy the keys. Name one elsewhere",
        )


def _check_databases(settings: Settings, where: _Where) -> None:
    """That the second is another database is also looked at when it is opened: an address has many forms."""
    if settings.database and not is_database(settings.database):
        raise _wrong(
            where("database"),
            "database phải là địa chỉ PostgreSQL (postgresql://TÀI_KHOẢN:MẬT_KHẨU@MÁY/TÊN), hoặc để trống",
            "database must be an address of PostgreSQL (postgresql://USER:PASSWORD@HOST/NAME), or empty",
        )
    if not settings.vault_database:
        return
    if not settings.vault_database.startswith("postgresql"):
        raise _wrong(
            where("vault_database"),
            "vault_database phải là địa chỉ PostgreSQL (postgresql://…)",
            "vault_database must be an address of PostgreSQL (postgresql://…)",
        )
    if _place(settings.vault_database) == _place(settings.database):
        raise _wrong(
            where("vault_database"),
            "vault_database trùng với cơ sở dữ liệu chính: bản sao lưu của nó sẽ có cả các khóa. Hãy chọn nơi khác",
            "vault_database is the main database, whose backups would hold the keys. Name another one",
        )


def is_database(address: str) -> bool:
    """Whether the address is of a database that the gateway works with."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:  # a bracket that is not closed, a port that is no number
        return False
    return "://" in address and parts.scheme.partition("+")[0] in ("sqlite", "postgresql")


def _place(address: str) -> tuple[str, ...]:
    """Scheme, host, port and database of an address, without account and parameters."""
    parts = urlsplit(address)
    hosts = parts.hostname or ",".join(parse_qs(parts.query).get("host", []))
    return (parts.scheme.partition("+")[0], hosts, str(parts.port or 5432), parts.path)


def _check_networks(settings: Settings, where: _Where) -> None:
    for text in settings.push_networks.split():
        try:
            ipaddress.ip_network(text)
        except ValueError as wrong:
            raise _wrong(
                where("push_networks"),
                f"push_networks có {text[:60]!r}; cần các mạng như 10.20.0.0/16, cách nhau bằng dấu cách",
                f"push_networks has {text[:60]!r} ({wrong}); it must be networks such as 10.20.0.0/16, with blanks "
                "between",
            ) from None


def _check_roles(settings: Settings, where: _Where) -> None:
    given, known = settings.roles.split(), ", ".join(ROLES)
    if not given or set(given) - set(ROLES):
        raise _wrong(
            where("roles"),
            f"roles là {settings.roles[:60]!r}; cần một hay nhiều trong: {known}, cách nhau bằng dấu cách",
            f"roles is {settings.roles[:60]!r}; it must be one or more of {known}, with blanks between",
        )


def expected(name: str) -> Words:
    """The valid values of a setting, in words."""
    item = _FIELDS[name]
    if choices := get_args(_TYPES[name]):
        return Words(" hoặc ".join(choices), " or ".join(choices))
    if isinstance(item.default, bool):
        return Words("true hoặc false", "true or false")
    if isinstance(item.default, str):
        return Words("một chuỗi", "a text")
    kind = Words("số nguyên", "a whole number") if isinstance(item.default, int) else Words("số", "a number")
    match dict(item.metadata["bounds"]):
        case {"ge": low, "le": high}:
            return Words(f"{kind.vi} từ {low} đến {high}", f"{kind.en} from {low} to {high}")
        case {"ge": low}:
            return Words(f"{kind.vi} từ {low} trở lên", f"{kind.en}, {low} or more")
        case {"gt": low}:
            return Words(f"{kind.vi} lớn hơn {low}", f"{kind.en} above {low}")
    return kind
