"""What every module of the command line shares: the root command, the options that repeat, an instance by its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway import __version__
from gateway import settings as settings_module
from gateway.commands.output import Exit, bad_setting, fail
from gateway.settings import Settings

app = typer.Typer(
    name="lgsp",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"lgsp {__version__}")
        raise typer.Exit


@app.callback()
def lgsp(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version of the package.")
    ] = False,
) -> None:
    """LGSP gateway: signed, granted, translated, logged data exchange."""


Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of the instance (default: $LGSP_DATA, else ./lgsp-data).")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]
ReasonVi = Annotated[str, typer.Option("--reason-vi", help="Why, in Vietnamese: whoever is refused reads it.")]
ReasonEn = Annotated[str, typer.Option("--reason-en", help="Why, in English.")]
Until = Annotated[
    str | None,
    typer.Option(
        "--until", help="When it is expected to end (2026-12-01T17:30, time in Vietnam); it ends by `resume` only."
    ),
]
Shorten = Annotated[bool, typer.Option("--shorten", help="Let an end that was told already come earlier.")]


def load_settings(data: Path | None, as_json: bool = False) -> Settings:
    try:
        return settings_module.load(data)
    except settings_module.BadSetting as trouble:
        bad_setting(trouble, as_json)


def identity_folder(identity: Path, data: Path | None, as_json: bool) -> Path:
    """The folder of an identity: as it is named, or, of a bare name that is no folder here, among those of the instance."""
    if identity.exists() or identity.name != str(identity):
        return identity
    folder = load_settings(data, as_json).identities
    if (found := folder / identity).is_dir():
        return found
    known = sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    fail(
        Exit.USAGE,
        "no-identity",
        f"there is no folder {identity} here, and no identity of that name in {folder} / không có thư mục hay danh tính nào tên như vậy",
        f"Give the identity's folder, or one of: / Nêu thư mục của danh tính, hoặc một trong: {', '.join(known)}."
        if known
        else "Give the identity's folder, or the instance's with --data or $LGSP_DATA. / Nêu thư mục của danh tính, hoặc của phiên bản.",
        as_json,
    )


def load_instance(data: Path | None, as_json: bool) -> Settings:
    settings = load_settings(data, as_json)
    if not settings.is_made:
        fail(
            Exit.USAGE,
            "no-instance",
            f"there is no instance in {settings.data} / không có phiên bản nào tại {settings.data}",
            "Make one with `lgsp up`, or name its folder with --data. / Tạo bằng `lgsp up`, hoặc chỉ thư mục bằng --data.",
            as_json,
        )
    return settings
