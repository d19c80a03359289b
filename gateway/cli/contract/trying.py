"""`lgsp contract try`: one message through a contract's folder, each stage printed."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.wire.jsontext import pretty, write_json
from gateway.cli.common import arguments
from gateway.cli.common.options import AsJson
from gateway.cli.common.output import Exit, emit, fail, finding_json

if TYPE_CHECKING:
    from contracts.compiled.contract import CompiledContract
    from contracts.proof.tryout import Tryout, Written

commands = typer.Typer()
_OUTCOMES = {
    "same": "back: the same / trở lại: như cũ",
    "with-losses": "back: the same, but for the losses / trở lại: như cũ, trừ phần mất đã liệt kê",
    "differs": "back: ANOTHER value / trở lại: GIÁ TRỊ KHÁC",
    "refused": "back: REFUSED / trở lại: BỊ TỪ CHỐI",
    "not-expressible": "cannot be written / không viết được",
}


@commands.command("try")
def contract_try(
    folder: Path,
    file: Annotated[Path, typer.Argument(help="The message; - reads standard input.")],
    format_name: Annotated[
        str, typer.Option("--format", help="The format it is in: a file of systems/, or canonical.")
    ],
    message: Annotated[
        str | None, typer.Option("--message", help="Which message it is, where neither root nor file name says so.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="The file is a sample of the folder: write its canonical twin, if missing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take one message through a contract's folder and print each stage: parsed, canonical, each other format, back."""
    from contracts.compiled.contract import compile_bundle
    from contracts.folder.bundle import Bundle
    from contracts.proof.tryout import try_out

    if not (folder / "contract.yaml").is_file():
        below = ", ".join(sorted(str(each.parent) for each in folder.glob("v*/contract.yaml")))
        fail(
            Exit.USAGE,
            "no-contract",
            f"there is no contract.yaml in {folder} / trong {folder} không có contract.yaml",
            f"Name a contract's folder. / Chỉ thư mục của một hợp đồng: {below or '…/v1'}",
            as_json,
        )
    files = Bundle.from_folder(folder).files
    # Without its samples: one whose twin is missing, as a new one, would refuse the folder.
    compiled = compile_bundle(Bundle.of({path: raw for path, raw in files.items() if not path.startswith("samples/")}))
    if format_name not in compiled.formats:
        shown = ", ".join(compiled.formats)
        fail(
            Exit.USAGE,
            "no-format",
            f"there is no format {format_name} / không có dạng {format_name}",
            f"Known / Đang có: {shown}",
            as_json,
        )
    named = _message(compiled, format_name, file, message, as_json)
    twin = _twin(folder, file, format_name, as_json) if write else None
    tryout = try_out(compiled, format_name, _raw(file, as_json), named, time.time())
    written = twin is not None and tryout.ok and _write_twin(twin, tryout)
    result, lines = _result(tryout), _lines(tryout)
    if written:
        result["twin"] = str(twin)
        lines.append(
            f"{twin}: written; see that it is what the message means"
            " / đã ghi; hãy xem đó có đúng là ý nghĩa của bản tin không"
        )
    elif twin is not None:
        why = "is there already, and stays / đã có sẵn, được giữ nguyên"
        lines.append(f"{twin}: {why if tryout.ok else 'not written / không được ghi'}")
    emit(result, as_json, "\n".join(lines))


def _twin(folder: Path, file: Path, format_name: str, as_json: bool) -> Path:
    """Where the canonical twin of a sample lies."""
    place = folder / "samples" / format_name
    parts = file.name.split(".")
    if len(parts) != 3 or file.resolve().parent != place.resolve():
        fail(
            Exit.USAGE,
            "no-sample",
            f"{file} is no sample of {folder} / không phải bản tin mẫu của thư mục này",
            f"Put it to / Đặt nó tại: {place}/MESSAGE.NAME.{'json' if len(parts) < 2 else parts[-1]}",
            as_json,
        )
    return file.with_name(f"{parts[0]}.{parts[1]}.canonical.json")


def _write_twin(twin: Path, tryout: Tryout) -> bool:
    """Whether it was written. One that is there stays: it may say what the mapping should do and does not."""
    assert tryout.canonical is not None
    try:
        with twin.open("x", encoding="utf-8") as out:
            out.write(pretty(tryout.canonical) + "\n")
    except FileExistsError:
        return False
    return True


def _raw(file: Path, as_json: bool) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    return arguments.content(
        file,
        "Name a file with one message, or - for standard input."
        " / Chỉ tệp chứa một thông điệp, hoặc - để đọc đầu vào chuẩn.",
        as_json,
    )


def _message(
    compiled: CompiledContract, format_name: str, file: Path, message: str | None, as_json: bool
) -> str | None:
    """The message named, or that of a sample's file name, or the only one; of XML its root tells."""
    from contracts.proof.tryout import messages

    codec = compiled.formats[format_name]
    known = messages(compiled, codec)
    if message is not None and message not in known:
        what = f"{format_name} has no message {message} / không có thông điệp này"
        fail(Exit.USAGE, "no-message", what, f"Known / Đang có: --message {', '.join(known)}", as_json)
    if message is not None or "xml" in codec.speaks and file.suffix == ".xml":
        return message
    named = re.match(r"\w+(?=\.)", file.name)
    if named is not None and named[0] in known:
        return named[0]
    if len(known) != 1 and codec.media != "xml":
        fail(
            Exit.USAGE,
            "no-message",
            "which message is it? / đây là thông điệp nào?",
            f"Say / Nêu: --message {', '.join(known)}",
            as_json,
        )
    return known[0] if codec.media != "xml" else None


def _lines(tryout: Tryout) -> list[str]:
    lines = [f"1. parsed / đọc: {tryout.format} ({tryout.media}), {tryout.message or '?'}, {tryout.parsed}"]
    if tryout.canonical is None:
        assert tryout.failure is not None
        lines.append(f"2. canonical / dạng chuẩn: REFUSED / TỪ CHỐI [{tryout.failure.code}]")
        lines += [
            f"   {tryout.failure.what('en')}",
            f"   {tryout.failure.what('vi')}",
            *_finding_lines(tryout.failure.findings),
        ]
        return lines
    lines += ["2. canonical / dạng chuẩn:", _indented(pretty(tryout.canonical))]
    lines += [f"   read over, not verified / đọc lướt, không kiểm tra: {place}" for place in tryout.passed]
    for number, each in enumerate(tryout.written, 3):
        lines.append(f"{number}. {each.format} ({each.media}); {_OUTCOMES[each.outcome]}")
        if each.text:
            lines.append(_indented(_shown(each)))
        lines += [f"   loss / mất: {loss}" for loss in each.losses]
        lines += _finding_lines(each.findings)
    return lines


def _shown(each: Written) -> str:
    """A workbook is no text: its size stands for it."""
    return f"({len(each.text)} bytes)" if each.media == "xlsx" else each.text.decode("utf-8", "replace")


def _indented(text: str) -> str:
    return "\n".join("   " + line for line in text.splitlines())


def _finding_lines(findings: Any) -> list[str]:
    return [
        f"   {each.here or '–'} ↔ {each.canonical or '–'}: {each.rule}: expected {each.expected}, got {each.got}"
        for each in findings
    ]


def _result(tryout: Tryout) -> dict[str, Any]:
    failure = tryout.failure
    return {
        "ok": tryout.ok,
        "format": tryout.format,
        "media": tryout.media,
        "message": tryout.message,
        "parsed": tryout.parsed,
        "passed": list(tryout.passed),
        "canonical": None if tryout.canonical is None else write_json(tryout.canonical).decode("utf-8"),
        "refused": None
        if failure is None
        else {"code": failure.code, "vi": failure.what("vi"), "en": failure.what("en")},
        "findings": [finding_json(each) for each in (failure.findings if failure is not None else ())],
        "written": [_written(each) for each in tryout.written],
    }


def _written(each: Written) -> dict[str, Any]:
    return {
        "format": each.format,
        "media": each.media,
        "text": _shown(each),
        "outcome": each.outcome,
        "losses": list(each.losses),
        "findings": [finding_json(finding) for finding in each.findings],
    }
