"""`lgsp contract check|diff|show`: contracts proved, compared, and which versions are in force."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, finding_json, finding_line

if TYPE_CHECKING:
    from contracts.compiled.contract import CompiledContract
    from contracts.diff.changes import Change
    from contracts.folder.bundle import Bundle
    from contracts.proof.check import Report
    from gateway.registry.versions import Stored

commands = typer.Typer()
_NAME_ONE: Final = "Name a contract's folder. / Chỉ thư mục của một hợp đồng."
_NAME: Final = re.compile(r"[a-z0-9-]+/v[1-9][0-9]*")
LEVELS: Final = {"MAJOR": "phá vỡ / breaking", "MINOR": "thêm / minor", "PATCH": "không đổi dữ liệu / patch"}


@commands.command("check")
def contract_check(
    folder: Annotated[
        Path | None, typer.Argument(help="A contract's folder, or one that holds several (default: the catalogue).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove every contract in a folder; print each finding with file and line."""
    from contracts.folder.bundle import catalogue_folders
    from contracts.proof.budget import Budget
    from contracts.proof.check import check as check_folder

    if folder is None:
        folders = catalogue_folders()
    elif (folder / "contract.yaml").exists():
        folders = [folder]
    else:
        folders = sorted(path.parent for path in folder.rglob("contract.yaml"))
    if not folders:
        fail(
            Exit.USAGE,
            "no-contract",
            f"there is no contract.yaml in or below {folder} / trong {folder} không có contract.yaml",
            _NAME_ONE,
            as_json,
        )
    reports = [check_folder(each, Budget(time.process_time)) for each in folders]
    lines = [line for each, report in zip(folders, reports, strict=True) for line in _checked(each, report)]
    good = sum(report.ok for report in reports)
    if len(reports) > 1:
        lines.append(f"{len(reports)} hợp đồng, {good} đạt / {len(reports)} contracts, {good} ok")
    result: dict[str, Any] = {
        "ok": all(report.ok for report in reports),
        "contracts": [
            {
                "name": report.contract or report.folder,
                "digest": report.digest,
                "ok": report.ok,
                "proved": list(report.proved),
                "losses": list(report.losses),
                "findings": [finding_json(finding) for finding in report.findings],
                "warnings": [finding_json(finding) for finding in report.warnings],
            }
            for report in reports
        ],
    }
    emit(result, as_json, "\n".join(lines))


@commands.command("diff")
def contract_diff(
    old: Annotated[
        str, typer.Argument(help="A contract's folder, or the name of one in force, such as `indicator/v1`.")
    ],
    new: Annotated[str, typer.Argument(help="The same.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Name each change between two versions, with file and line; exit 1 if one breaks what runs."""
    from contracts.diff.changes import Level
    from contracts.diff.compare import differences, level_of

    sides = [_side(each, data, as_json) for each in (old, new)]
    names = [compiled.contract.id for _, compiled in sides]
    if names[0] != names[1]:
        fail(
            Exit.USAGE,
            "other-contract",
            f"{names[0]} and {names[1]} are two contracts / là hai hợp đồng khác nhau",
            "Compare versions of one contract. / So sánh các bản của cùng một hợp đồng.",
            as_json,
        )
    changes = differences(*sides)
    level = level_of(changes)
    before, after = (compiled.contract for _, compiled in sides)
    result = {
        "ok": level is not Level.MAJOR,
        "contract": after.id,
        "old": {"version": before.version, "digest": before.digest},
        "new": {"version": after.version, "digest": after.digest},
        "level": level.name.lower(),
        "changes": [change.to_json() for change in changes],
    }
    head = (
        f"{after.id}: {before.version} → {after.version}: {LEVELS[level.name]}"
        if changes
        else f"{after.id}: không thay đổi / nothing changed"
    )
    emit(result, as_json, "\n".join([head, *change_lines(changes)]))


@commands.command("show")
def contract_show(
    name: Annotated[
        str | None, typer.Argument(help="Such as `indicator/v1` (default: all, with their versions).")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Contracts in force: versions stored, who is pinned to which; of one also its operations, formats, addresses."""
    from gateway.journal.database import open_engine
    from gateway.registry import versions
    from gateway.registry.changes import publish as publishing
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    with open_engine(settings.database_url).connect() as connection:
        snapshot = load_snapshot(connection)
        bundles = versions.stored(connection)
        pinned = {each: publishing.pins(connection, each) for each in snapshot.contracts}
    if name is None:
        listed = [_versions(snapshot.contracts[each], bundles, pinned[each]) for each in sorted(snapshot.contracts)]
        text = "\n".join(line for each in listed for line in _version_lines(each))
        emit({"ok": True, "contracts": listed}, as_json, text)
    compiled = snapshot.contract(name)
    if compiled is None:
        not_in_force(name, sorted(snapshot.contracts), as_json)
    contract = compiled.contract
    operations = [
        {
            "name": each.name,
            "pattern": each.pattern,
            "address": f"{each.method} {settings.base}/{name}{each.path}",
            "idempotent": each.idempotent,
        }
        for each in contract.operations.values()
    ]
    about = _versions(compiled, bundles, pinned[name])
    result: dict[str, Any] = {
        "ok": True,
        **about,
        "formats": sorted(compiled.formats),
        "operations": operations,
        "wsdl": f"{settings.base}/soap/{name}?wsdl",
        "openapi": f"{settings.base}/contracts/{name}/openapi.json",
    }
    lines = _version_lines(about)
    lines += [f"  {each['name']} ({each['pattern']}): {each['address']}" for each in operations]
    lines += [
        f"  dạng dữ liệu / formats: {', '.join(result['formats'])}",
        f"  {result['wsdl']}",
        f"  {result['openapi']}",
    ]
    emit(result, as_json, "\n".join(lines))


def _checked(folder: Path, report: Report) -> list[str]:
    """For people: like things in one line, in both languages; the JSON has each by itself."""
    from contracts.base.phrases import vietnamese

    samples = [item for item in report.proved if item.startswith("sample ")]
    proved = [item for item in report.proved if item not in samples]
    if samples:
        proved.append(f"{len(samples)} samples: {samples[0].partition(': ')[2]}")
    lost: dict[tuple[str, str], list[str]] = {}
    for loss in report.losses:
        where, _, what = loss.partition(": ")
        path, _, rest = what.partition(": ")
        if " " in path:  # no path: a loss of the whole format
            path, rest = "", ""
        format_name, _, message = where.partition(" ")
        lost.setdefault((format_name, rest or what), []).append(f"{message} {path}" if rest else message)
    lines = [f"{'ok ' if report.ok else 'NO '} {report.contract or folder}"]
    if proved:
        lines += ["     đã chứng minh / proved", *(f"       {vietnamese(item)} / {item}" for item in proved)]
    if lost:
        lines.append("     mất khi chuyển đổi / lost on the way")
    for (where, what), places in lost.items():
        lines.append(f"       {where}: {', '.join(places)}: {vietnamese(what)} / {what}")
    if report.warnings:
        lines += ["     nên xem lại / look again", *(f"       {finding_line(finding)}" for finding in report.warnings)]
    if report.findings:
        lines += ["     phải sửa / to mend", *(f"       {finding_line(finding)}" for finding in report.findings)]
    return lines


def _side(text: str, data: Path | None, as_json: bool) -> tuple[Bundle, CompiledContract]:
    """Of a folder, or of the name of a contract in force in the instance."""
    from contracts.compiled.contract import compile_bundle
    from contracts.folder.bundle import Bundle
    from gateway.journal.database import open_engine
    from gateway.registry import versions

    folder = Path(text)
    if (folder / "contract.yaml").exists():
        bundle = Bundle.from_folder(folder)
        return bundle, compile_bundle(bundle)
    if folder.is_dir() or _NAME.fullmatch(text) is None:
        fail(
            Exit.USAGE,
            "no-contract",
            f"there is no contract.yaml in {folder} / trong {folder} không có contract.yaml",
            "Name a contract's folder, or one in force as indicator/v1."
            " / Chỉ thư mục của một hợp đồng, hoặc tên hợp đồng đang có hiệu lực, ví dụ indicator/v1.",
            as_json,
        )
    with open_engine(load_instance(data, as_json).database_url).connect() as connection:
        stored = versions.in_force(connection).get(text)
        if stored is None:
            not_in_force(text, sorted(versions.in_force(connection)), as_json)
        bundle = versions.load(connection, stored.digest)
    return bundle, compile_bundle(bundle)


def change_lines(changes: Sequence[Change]) -> list[str]:
    lines: list[str] = []
    for change in changes:
        lines += [
            f"  {LEVELS[change.level.name]}  {change.code}  {change.place}",
            f"      {change.say('vi')}",
            f"      {change.say('en')}",
        ]
    return lines


def _versions(compiled: CompiledContract, bundles: Sequence[Stored], pinned: dict[str, str]) -> dict[str, Any]:
    """A contract in force, what else is stored of its major, and which systems stay with which version."""
    from gateway.registry.versions import minor_of

    contract = compiled.contract
    return {
        "name": contract.name,
        "version": contract.version,
        "title": {"vi": contract.title.vi, "en": contract.title.en},
        "digest": compiled.digest,
        "versions": [
            {
                "version": each.version,
                "digest": each.digest,
                "in_force": each.digest == compiled.digest,
                "withdrawn": each.withdrawn,
                "pinned": [system for system, pin in pinned.items() if pin == minor_of(each.version)],
            }
            for each in bundles
            if each.contract == contract.name
        ],
    }


def _version_lines(about: dict[str, Any]) -> list[str]:
    lines = [f"{about['title']['vi']} / {about['title']['en']} ({about['name']}, {about['version']})"]
    for each in about["versions"]:
        mark = "→" if each["in_force"] else " "
        held = (
            f"  {', '.join(each['pinned'])}" if each["pinned"] else "  đã rút / taken back" if each["withdrawn"] else ""
        )
        lines.append(f"  {mark} {each['version']:<8} {each['digest']}{held}")
    return lines


def not_in_force(name: str, known: list[str], as_json: bool) -> NoReturn:
    fail(
        Exit.USAGE,
        "unknown-contract",
        f"no contract {name} is in force / không có hợp đồng {name} nào đang có hiệu lực",
        f"In force are / Đang có hiệu lực: {', '.join(known)}.",
        as_json,
    )
