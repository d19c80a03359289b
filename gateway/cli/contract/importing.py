"""`lgsp contract new` and its commands `import-…`: the draft of a contract; its meaning is left to people.

Invariant: only the named file, the files beside it and those of `--with` are read; links out of the folder are not
followed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import arguments
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from contracts.importers import draft
    from contracts.importers.shape import Interface
    from contracts.importers.source import Files

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Wanted:
    """What of a foreign file becomes a contract, and where it goes."""

    out: Annotated[Path, typer.Option("--out", help="Folder of the contract; its files go to the folder v1 in it.")]
    operation: Annotated[
        list[str] | None, typer.Option("--operation", help="Only this operation; may be given several times.")
    ] = None
    beside: Annotated[
        Path | None, typer.Option("--with", help="Folder with files that imports name by address; nothing is fetched.")
    ] = None
    name: Annotated[
        str | None, typer.Option("--id", help="Id of the contract (default: made of the service's name).")
    ] = None
    submit: Annotated[
        list[str] | None,
        typer.Option(
            "--submit",
            help="This operation hands in to the centre, whatever answer the file names; may be given several times.",
        ),
    ] = None


@commands.command("import-wsdl")
@grouped
def contract_import_wsdl(file: Path, wanted: Wanted, as_json: AsJson = False) -> None:
    """Draft a contract from a foreign WSDL 1.1 file; only the meaning is left to fill in."""
    from contracts.importers.formats.wsdl import import_wsdl

    _import(import_wsdl, file, wanted, as_json)


@commands.command("import-openapi")
@grouped
def contract_import_openapi(file: Path, wanted: Wanted, as_json: AsJson = False) -> None:
    """Draft a contract from a foreign OpenAPI 3.0 or 3.1 file; only the meaning is left to fill in."""
    from contracts.importers.formats.openapi import import_openapi

    _import(import_openapi, file, wanted, as_json)


@commands.command("import-csv")
@grouped
def contract_import_csv(file: Path, wanted: Wanted, as_json: AsJson = False) -> None:
    """Draft a contract from a CSV file, a title line and some rows: each line is handed in as a message."""
    from contracts.importers.formats.cells import import_csv

    _import(import_csv, file, wanted, as_json)


@commands.command("import-xlsx")
@grouped
def contract_import_xlsx(file: Path, wanted: Wanted, as_json: AsJson = False) -> None:
    """Draft a contract from the first sheet of an XLSX file, as of a CSV file."""
    from contracts.importers.formats.cells import import_xlsx

    _import(import_xlsx, file, wanted, as_json)


@commands.command("new")
def contract_new(
    name: Annotated[str, typer.Argument(help="Id of the contract, such as dossier-status.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the contract (default: its id).")] = None,
    as_json: AsJson = False,
) -> None:
    """Begin a contract: a folder with one operation and one format, to be filled in."""
    from contracts.importers.names import dashed
    from contracts.importers.skeleton import skeleton

    if dashed(name) != name:
        fail(
            Exit.USAGE,
            "bad-id",
            f"{name!r} is no id / không phải mã hợp đồng",
            f"Such as / Ví dụ: {dashed(name)}",
            as_json,
        )
    folder = _folder(out or Path(name), as_json)
    _write(folder, skeleton(name), as_json)


def _import(reads: Callable[[Files, Sequence[str]], Interface], file: Path, wanted: Wanted, as_json: bool) -> None:
    from contracts.importers import draft

    folder = _folder(wanted.out, as_json)
    interface = reads(_files(file, wanted.beside), wanted.operation or ())
    drafted = draft.write(draft.submitted(interface, wanted.submit or ()), wanted.name)
    _write(folder, drafted, as_json, draft.two_way(interface, wanted.submit or ()))


def _files(file: Path, extra: Path | None) -> Files:
    from contracts.importers.source import MAX_BYTES, Files

    base = file.parent.resolve()

    def read(path: str) -> bytes | None:
        try:
            target = (base / path).resolve()
            return (
                target.read_bytes()
                if target.is_relative_to(base) and target.is_file() and target.stat().st_size <= MAX_BYTES
                else None
            )
        except (OSError, ValueError):  # a name that no file can have, or one that may not be read
            return None

    return Files(file.name, read, {} if extra is None else _extra(extra))


def _extra(folder: Path) -> dict[str, bytes]:
    from contracts.importers.source import MAX_BYTES, MAX_FILES

    if not folder.is_dir():
        from contracts.importers.errors import IMPORT_UNREADABLE

        raise IMPORT_UNREADABLE(file=str(folder), why="--with names a folder")
    paths = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_BYTES
    ]
    if len(paths) > MAX_FILES or sum(path.stat().st_size for path in paths) > MAX_BYTES:
        from contracts.importers.errors import IMPORT_TOO_LARGE

        raise IMPORT_TOO_LARGE(limit=f"{MAX_FILES} files, {MAX_BYTES} bytes")
    return {path.name: path.read_bytes() for path in paths}


def _folder(out: Path, as_json: bool) -> Path:
    """Where the files go: a contract's folder bears its major version."""
    folder = out if out.name == "v1" else out / "v1"
    return arguments.empty_folder(folder, as_json)


def _write(folder: Path, drafted: draft.Draft, as_json: bool, two_way: Sequence[tuple[str, str]] = ()) -> None:
    """`two_way`: operations with an answer and the pattern that each was drafted as; the file does not say whose."""
    from contracts.folder.bundle import Bundle
    from contracts.folder.todo_markers import MARK, marks
    from contracts.importers.shape import note_lines

    for path, raw in drafted.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(raw)
    left = marks(Bundle.of(drafted.files))  # as `check` finds them
    result: dict[str, Any] = {
        "ok": True,
        "folder": str(folder),
        "contract": f"{drafted.id}/v1",
        "files": sorted(drafted.files),
        "left_open": len(left),
        "marks": [{"place": each.here, "hint": each.expected} for each in left],
        "two_way": [{"operation": name, "pattern": pattern} for name, pattern in two_way],
        "notes": [
            {"code": each.code, "place": each.place, "vi": each.say("vi"), "en": each.say("en")}
            for each in drafted.notes
        ],
    }
    lines = [f"{drafted.id}/v1 → {folder}", *(f"  {path}" for path in sorted(drafted.files))]
    lines += [f"  note: {line}" for line in note_lines(drafted.notes)]
    lines += [
        f"  {name}: {pattern}. Does the system hand it in to the centre instead? Draft again with --submit {name}."
        f" / Hệ thống nộp về trung tâm thay vì được gọi? Lập lại với --submit {name}."
        for name, pattern in two_way
    ]
    lines += [
        f"{len(left)} places are marked {MARK}; `lgsp contract check {folder}` names each.",
        f"Có {len(left)} chỗ đánh dấu {MARK}; `lgsp contract check {folder}` chỉ từng chỗ.",
    ]
    emit(result, as_json, "\n".join(lines))
