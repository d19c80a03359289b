"""The log has every refusal and both leaves of each receipt, matches its checkpoint, and reveals a changed byte."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from examples.story.world import DidNotHold, Telling, World, check, same
from gateway.sample_client.errors import LogError


def refusals_logged(world: World) -> str:
    check(len(world.refused) >= 18, f"refusals seen so far: {len(world.refused)}")
    shown = world.lgsp("audit", "show", *world.refused.values(), "--data", str(world.data))
    logged = {entry["transfer"] for entry in shown.get("entries", []) if entry["kind"] in ("refusal", "outcome")}
    missing = {name: transfer for name, transfer in world.refused.items() if transfer not in logged}
    check(not missing, f"refusals that the log does not hold: {missing} {shown.get('error', '')}")
    return f"{len(world.refused)} refusals, each in the log under the id that its answer named"


def receipts(world: World) -> str:
    client = world.rest("phan-anh")
    trouble: list[Exception] = []

    def prove() -> object:
        try:
            return client.prove(world.remembered["dispatch-receipt"])
        except LogError as early:  # the entries of a receipt have an index within a second
            trouble[:] = [early]
            return None

    try:
        _, entries = world.wait("a checkpoint over the receipt", prove)
    except DidNotHold as late:
        raise DidNotHold(f"{late}: {trouble}") from late
    same(sorted(entry.phase for entry in entries), ["intent", "outcome"], "the proved entries")
    newest = client.witness()
    check(newest is not None, "checkpoints kept along the way")
    assert newest is not None
    return (
        "receipt turned into inclusion proofs; all checkpoints that came with answers lead to the one of size "
        f"{newest.size}"
    )


def verifies(world: World) -> str:
    vkey = str(world.identities / "dieu-hanh" / "log.vkey")
    report = world.lgsp("audit", "verify", "--data", str(world.data), "--vkey", vkey)
    check(report["ok"], f"lgsp audit verify: {report}")
    world.remembered["size"] = report["size"]
    return f"{report['size']} entries derived anew agree with the signed checkpoint"


def one_byte(world: World) -> str:
    """A copy of the database with one byte of one entry changed."""
    with tempfile.TemporaryDirectory(prefix="lgsp-tamper-") as folder:
        copy = Path(folder) / "data"
        copy.mkdir()
        for name in ("settings.yaml", "log"):
            source = world.data / name
            shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
        with sqlite3.connect(world.data / "lgsp.db") as source_db, sqlite3.connect(copy / "lgsp.db") as target:
            source_db.backup(target)
            (index, entry) = target.execute(
                "select idx, entry from log_entry where phase = 'outcome' order by idx limit 1"
            ).fetchone()
            spoiled = bytes(entry[:-2]) + bytes([entry[-2] ^ 1]) + bytes(entry[-1:])
            target.execute("update log_entry set entry = ? where idx = ?", (spoiled, index))
            target.commit()
        report = world.lgsp(
            "audit", "verify", "--data", str(copy), "--vkey", str(world.identities / "dieu-hanh" / "log.vkey")
        )
    check(not report["ok"], "a changed byte must be found")
    check(f"entry {index}" in str(report["first_wrong"]), f"the entry is named: {report['first_wrong']}")
    return str(report["first_wrong"])


def complete(world: World) -> str:
    """The last step of the story, so that the wait for the end of a minute is short."""
    who = ("--identity", str(world.identities / "dieu-hanh"))

    def checked() -> dict[str, Any] | None:
        report = world.lgsp("client", "feed-check", "incident-alert/v1", *who)
        check(report["ok"], f"lgsp client feed-check: {report}")
        return report if report["hours"] else None

    report = world.wait("the first minute of the alerts to be sealed", checked, 120.0, 1.0)
    return (
        f"a reader holds all {report['events']} alerts of the sealed minutes: none is missing, none was put in "
        "(in production: hours)"
    )


def independent(world: World) -> str:
    """Check the package of the dispatched report by a program without any code of the gateway."""
    transfer, vkey = world.remembered["dispatch-receipt"].transfer, str(world.identities / "dieu-hanh" / "log.vkey")
    with tempfile.TemporaryDirectory(prefix="lgsp-package-") as folder:
        package = Path(folder) / "package"
        reason = ("--reason", "Thanh tra hỏi về một phản ánh", "--data", str(world.data))
        exported = world.lgsp("audit", "package", transfer, str(package), *reason)
        check(exported["ok"], f"lgsp audit package: {exported}")
        command = [sys.executable, "-I", str(package / "check.pyz"), str(package), "--json", "--vkey", vkey]
        command += ["--authorities", str(world.identities / "dieu-hanh" / "ca.crt")]
        report = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
        check(report["ok"], f"what the verifier found: {report}")
        (package / "messages" / "request.http").write_bytes(b"POST / HTTP/1.1\r\n\r\n")
        after = subprocess.run(command, capture_output=True, check=False).returncode
    same(after, 1, "what the verifier says of a package that was altered")
    return (
        f"{len(report['checks'])} checks held with key and authorities from elsewhere: entries, messages, signatures, "
        "certificates; an altered one was refused"
    )


STEPS: tuple[Telling, ...] = (
    ("every refusal stands in the log", refusals_logged),
    ("receipts become proofs", receipts),
    ("a stranger checks the package of one transfer", independent),
    ("the log verifies", verifies),
    ("one changed byte is found and named", one_byte),
)
LAST: tuple[Telling, ...] = (("a reader proves that it holds a whole feed", complete),)
