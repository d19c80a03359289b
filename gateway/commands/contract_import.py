"""`lgsp contract import-wsdl`, `import-openapi`, `new`: a contract folder begun by a program, its meaning left to people.

Files are read here and nowhere else: the one named, those beside it, and those of `--with`; links are not followed out of the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contracts.folder.todo_markers import MARK
from contracts.importers import draft
from contracts.importers.errors import IMPORT_TOO_LARGE, IMPORT_UNREADABLE
from contracts.importers.formats.openapi import import_openapi
from contracts.importers.formats.wsdl import import_wsdl
from contracts.importers.names import dashed
from contracts.importers.shape import Interface, told
from contracts.importers.skeleton import skeleton
from contracts.importers.source import MAX_BYTES, MAX_FILES, Files
from gateway.commands import given
from gateway.commands.output import Exit, emit, fail

Import = Callable[[Files, Sequence[str]], Interface]


def from_wsdl(
    file: Path, operations: Sequence[str], extra: Path | None, out: Path, name: str | None, as_json: bool
) -> None:
    _import(import_wsdl, file, operations, extra, out, name, as_json)


def from_openapi(
    file: Path, operations: Sequence[str], extra: Path | None, out: Path, name: str | None, as_json: bool
) -> None:
    _import(import_openapi, file, operations, extra, out, name, as_json)


def new(contract_id: str, out: Path | None, as_json: bool) -> None:
    if dashed(contract_id) != contract_id:
        fail(
            Exit.USAGE,
            "bad-id",
            f"{contract_id!r} is no id / không phải mã hợp đồng",
            f"Such as / Ví dụ: {dashed(contract_id)}",
            as_json,
        )
    folder = _folder(out or Path(contract_id), as_json)
    _write(folder, skeleton(contract_id), as_json)


def _import(
    reads: Import, file: Path, operations: Sequence[str], extra: Path | None, out: Path, name: str | None, as_json: bool
) -> None:
    folder = _folder(out, as_json)
    _write(folder, draft.write(reads(_files(file, extra), operations), name), as_json)


def _files(file: Path, extra: Path | None) -> Files:
    base = file.parent.resolve()

    def read(path: str) -> bytes | None:
        try:
            found = (base / path).resolve()
            return (
                found.read_bytes()
                if found.is_relative_to(base) and found.is_file() and found.stat().st_size <= MAX_BYTES
                else None
            )
        except (OSError, ValueError):  # a name that no file can have, or one that may not be read
            return None

    return Files(file.name, read, {} if extra is None else _extra(extra))


def _extra(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise IMPORT_UNREADABLE(file=str(folder), why="--with names a folder")
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_BYTES
    ]
    if len(found) > MAX_FILES or sum(path.stat().st_size for path in found) > MAX_BYTES:
        raise IMPORT_TOO_LARGE(limit=f"{MAX_FILES} files, {MAX_BYTES} bytes")
    return {path.name: path.read_bytes() for path in found}


def _folder(out: Path, as_json: bool) -> Path:
    """Where the files go: a contract's folder bears its major version."""
    folder = out if out.name == "v1" else out / "v1"
    return given.empty_folder(folder, as_json)


def _write(folder: Path, made: draft.Draft, as_json: bool) -> None:
    for path, raw in made.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(raw)
    left = sum(raw.count(MARK.encode()) for raw in made.files.values())
    result: dict[str, Any] = {
        "ok": True,
        "folder": str(folder),
        "contract": f"{made.id}/v1",
        "files": sorted(made.files),
        "left_open": left,
        "notes": [
            {"code": each.code, "place": each.place, "vi": each.say("vi"), "en": each.say("en")} for each in made.notes
        ],
    }
    lines = [f"{made.id}/v1 → {folder}", *(f"  {path}" for path in sorted(made.files))]
    lines += [f"  note: {line}" for line in told(made.notes)]
    lines += [
        f"{left} places are marked {MARK}; `lgsp contract check {folder}` names each.",
        f"Có {left} chỗ đánh dấu {MARK}; `lgsp contract check {folder}` chỉ từng chỗ.",
    ]
    emit(result, as_json, "\n".join(lines))
