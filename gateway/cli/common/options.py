"""Options that several commands take, groups of options as one typed value, and the instance that a command works
on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer
from typer.models import ParameterInfo

from gateway.cli.common.output import Exit, bad_setting, fail

if TYPE_CHECKING:
    from gateway.settings import Settings

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of the instance (default: $LGSP_DATA, else ./lgsp-data).")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]
Day = Annotated[
    str | None,
    typer.Option("--day", help="The day in Vietnam, such as 2026-11-24; may be left out where the file names it."),
]
At = Annotated[str | None, typer.Option("--at", help="At another moment than now (2026-12-01T17:30, time in Vietnam).")]


def grouped(function: Callable[..., None]) -> Callable[..., None]:
    """Declares each field of a dataclass parameter as an option of its own; the command gets the dataclass.

    Such a dataclass is declared with `kw_only=True`, and its fields like parameters of a command.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints[name]
        if not is_dataclass(kind):
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[name] = kind
        options = get_type_hints(kind, include_extras=True)
        for each in fields(kind):
            default = inspect.Parameter.empty if each.default is MISSING else each.default
            declared = _declared(each.name, options[each.name])
            parameters.append(
                inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=declared)
            )

    @wraps(function)
    def command(**values: Any) -> None:
        for name, kind in groups.items():
            if not isinstance(values.get(name), kind):
                values[name] = kind(
                    **{each.name: values.pop(each.name) for each in fields(kind) if each.name in values}
                )
        function(**values)

    del command.__dict__["__wrapped__"]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__dict__["__signature__"] = inspect.Signature(parameters)
    return command


def _declared(name: str, hint: Any) -> Any:
    """A field that is declared in a package below has its help there; it is the option of its name."""
    kind, *about = get_args(hint)
    if any(isinstance(each, ParameterInfo) for each in about):
        return hint
    (help_,) = (each.help for each in about if hasattr(each, "help"))
    annotated: Any = Annotated
    return annotated[kind, typer.Option(f"--{name}", help=help_)]


def load_settings(data: Path | None, as_json: bool = False) -> Settings:
    from gateway import settings as settings_module

    try:
        return settings_module.load(data)
    except settings_module.BadSetting as trouble:
        bad_setting(trouble, as_json)


def load_instance(data: Path | None, as_json: bool) -> Settings:
    settings = load_settings(data, as_json)
    if not settings.is_made:
        fail(
            Exit.USAGE,
            "no-instance",
            f"there is no instance in {settings.data} / không có phiên bản nào tại {settings.data}",
            "Make one with `lgsp up`, or name its folder with --data."
            " / Tạo bằng `lgsp up`, hoặc chỉ thư mục bằng --data.",
            as_json,
        )
    return settings


def identity_folder(identity: Path, data: Path | None, as_json: bool) -> Path:
    """The folder of an identity: as it is named, or, of a name that is no folder here, in the instance."""
    if identity.exists() or identity.name != str(identity):
        return identity
    folder = load_settings(data, as_json).identities
    if (found := folder / identity).is_dir():
        return found
    known = sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    fail(
        Exit.USAGE,
        "no-identity",
        f"there is no folder {identity} here, and no identity of that name in {folder}"
        " / không có thư mục hay danh tính nào tên như vậy",
        f"Give the identity's folder, or one of: / Nêu thư mục của danh tính, hoặc một trong: {', '.join(known)}."
        if known
        else "Give the identity's folder, or the instance's with --data or $LGSP_DATA."
        " / Nêu thư mục của danh tính, hoặc của phiên bản.",
        as_json,
    )
