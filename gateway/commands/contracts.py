"""`lgsp contract`: prove what lies in a folder, show what is in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contracts.bundle import catalogue_folders
from contracts.check import check as check_folder
from gateway.commands.output import Exit, emit, fail
from gateway.journal.database import open_engine
from gateway.registry.snapshot import load_snapshot
from gateway.settings import Settings


def check(folder: Path | None, as_json: bool) -> None:
    if folder is None:
        folders = catalogue_folders()
    elif (folder / "contract.yaml").exists():
        folders = [folder]
    else:
        folders = sorted(path.parent for path in folder.rglob("contract.yaml"))
    if not folders:
        fail(Exit.USAGE, "no-contract", f"there is no contract.yaml in or below {folder}", "Name a contract's folder.", as_json)
    reports = [check_folder(each) for each in folders]
    lines: list[str] = []
    for report in reports:
        lines.append(f"{'ok ' if report.ok else 'NO '} {report.contract or report.folder}")
        lines += [f"     proved: {item}" for item in report.proved]
        lines += [f"     loss: {item}" for item in report.losses]
        lines += [f"     {found.here}: {found.rule}: expected {found.expected}, got {found.got}" for found in report.findings]
    result: dict[str, Any] = {
        "ok": all(report.ok for report in reports),
        "contracts": [
            {
                "name": report.contract or report.folder,
                "digest": report.digest,
                "ok": report.ok,
                "proved": list(report.proved),
                "losses": list(report.losses),
                "findings": [
                    {"here": found.here, "rule": found.rule, "expected": found.expected, "got": found.got} for found in report.findings
                ],
            }
            for report in reports
        ],
    }
    emit(result, as_json, "\n".join(lines))


def show(settings: Settings, name: str, as_json: bool) -> None:
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        snapshot = load_snapshot(connection)
    compiled = snapshot.contract(name)
    if compiled is None:
        fail(Exit.NO, "no-contract", f"no contract {name} is in force", f"In force are {', '.join(sorted(snapshot.contracts))}.", as_json)
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
    result: dict[str, Any] = {
        "ok": True,
        "name": name,
        "version": contract.version,
        "title": {"vi": contract.title.vi, "en": contract.title.en},
        "digest": compiled.digest,
        "formats": sorted(compiled.formats),
        "operations": operations,
        "wsdl": f"{settings.base}/soap/{name}?wsdl",
        "openapi": f"{settings.base}/contracts/{name}/openapi.json",
    }
    lines = [f"{contract.title.vi} / {contract.title.en} ({name}, {contract.version})", f"  {compiled.digest}"]
    lines += [f"  {each['name']} ({each['pattern']}): {each['address']}" for each in operations]
    lines += [f"  formats: {', '.join(result['formats'])}", f"  {result['wsdl']}", f"  {result['openapi']}"]
    emit(result, as_json, "\n".join(lines))
