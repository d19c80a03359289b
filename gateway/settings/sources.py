"""Reads the settings of an instance from its file and the environment, by pydantic-settings.

It is imported only when settings are read, because pydantic takes longer to import than most commands to run.
Invariant: types, bounds and defaults are those of `Settings`; an undeclared name is refused.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

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


def read(data: Path, environment: Mapping[str, str]) -> Settings:
    """The settings of the instance in `data`. Raises `BadSetting` with name and place."""
    path = data / FILE
    file = _file(path) if path.exists() else {}
    by_name = _environment(environment)

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
    try:
        values = model(**file).model_dump()
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = str(first["loc"][0])
        where = _ENVIRONMENT if name in by_name else _in(path)
        shown, right = repr(first["input"])[:80], expected(name)
        raise BadSetting(
            Words(
                f"{where.vi}: {name} là {shown}; giá trị đúng là {right.vi}",
                f"{where.en}: {name} is {shown}; it must be {right.en}",
            )
        ) from None
    settings = Settings(data, **values)
    _check_places(settings)
    _check_networks(settings)
    _check_roles(settings)
    return settings


_ENVIRONMENT: Final = Words("biến môi trường", "the environment")


def _in(path: Path) -> Words:
    return Words(str(path), str(path))


def _file(path: Path) -> dict[str, Any]:
    try:
        document = safeyaml.load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as trouble:
        mark = getattr(trouble, "problem_mark", None)
        where = (
            Words(f"{path}, dòng {mark.line + 1}", f"{path}, line {mark.line + 1}") if mark is not None else _in(path)
        )
        reason = getattr(trouble, "problem", None) or trouble
        raise BadSetting(
            Words(
                f"{where.vi}: {reason}; cần các dòng `tên: giá trị` bằng UTF-8",
                f"{where.en}: {reason}; `name: value` lines in UTF-8 are expected",
            )
        ) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise BadSetting(Words(f"{path}: cần các dòng `tên: giá trị`", f"{path}: expected `name: value` lines"))
    values = {str(name): value for name, value in document.items()}
    for name in values:
        if name not in _FIELDS:
            raise _unknown(_in(path), name, _FIELDS)
    # YAML 1.1 reads `off` as false.
    return {
        name: "off" if value is False and "off" in get_args(_TYPES[name]) else value for name, value in values.items()
    }


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
    return BadSetting(
        Words(
            f"{where.vi}: không có thiết lập {name[:80]!r}; tên gần nhất là {near!r}",
            f"{where.en}: there is no setting {name[:80]!r}; the nearest is {near!r}",
        )
    )


def _check_places(settings: Settings) -> None:
    if settings.secret_path is not None and settings.secret_path.absolute().is_relative_to(settings.data):
        raise BadSetting(
            Words(
                "secret_file nằm trong thư mục dữ liệu: bản sao của thư mục sẽ có cả bí mật. Hãy để ở nơi khác",
                "secret_file lies in the data folder; a copy of the folder would hold it. Keep it elsewhere",
            )
        )
    if settings.vault_copies is not None and settings.vault_copies.absolute().is_relative_to(settings.data):
        raise BadSetting(
            Words(
                "vault_backup nằm trong thư mục dữ liệu: bản sao của thư mục sẽ có cả các khóa. Hãy chọn nơi khác",
                "vault_backup lies in the data folder; what copies the folder would copy the keys. Name one elsewhere",
            )
        )


def _check_networks(settings: Settings) -> None:
    for text in settings.push_networks.split():
        try:
            ipaddress.ip_network(text)
        except ValueError as wrong:
            raise BadSetting(
                Words(
                    f"push_networks có {text[:60]!r}; cần các mạng như 10.20.0.0/16, cách nhau bằng dấu cách",
                    f"push_networks has {text[:60]!r} ({wrong}); it must be networks such as 10.20.0.0/16, with blanks "
                    "between",
                )
            ) from None


def _check_roles(settings: Settings) -> None:
    given, known = settings.roles.split(), ", ".join(ROLES)
    if not given or set(given) - set(ROLES):
        raise BadSetting(
            Words(
                f"roles là {settings.roles[:60]!r}; cần một hay nhiều trong: {known}, cách nhau bằng dấu cách",
                f"roles is {settings.roles[:60]!r}; it must be one or more of {known}, with blanks between",
            )
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
