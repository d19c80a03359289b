"""`lgsp client prove|checkpoints`: the gateway's log, as a component system proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contracts.base.times import rfc3339
from gateway.cli.client.kit import Kit, kit_failures
from gateway.cli.common import arguments
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import emit

commands = typer.Typer()


@commands.command("prove")
@grouped
def client_prove(
    transfer: str,
    kit: Kit,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the proofs as files (C2SP tlog-proof).")] = None,
    as_json: AsJson = False,
) -> None:
    """Proofs that a transfer's entries stand in the audit log, checked here."""
    from gateway.client.answers import base64_text

    transfer = arguments.transfer_id(transfer, as_json, at_system=True)
    with kit_failures(as_json), kit.client(as_json) as client:
        proof = client.prove(transfer)
        files = []
        for entry in proof.entries:
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                file = out / f"{transfer}.{entry.index}.tlog-proof"
                file.write_text(entry.text, "utf-8", newline="\n")
                files.append(str(file))
        entries = [{"phase": each.phase, "index": each.index, "leaf": base64_text(each.leaf)} for each in proof.entries]
        checkpoint = {
            "origin": proof.checkpoint.origin,
            "size": proof.checkpoint.size,
            "root": base64_text(proof.checkpoint.root),
        }
        lines = [
            (
                f"{each.phase:<8} is entry {each.index} of {proof.checkpoint.origin}, proved under size"
                f" {proof.checkpoint.size}"
            )
            for each in proof.entries
        ]
        emit(
            {"ok": True, "transfer": transfer, "checkpoint": checkpoint, "entries": entries, "files": files},
            as_json,
            "\n".join([*lines, *files]),
        )


@commands.command("checkpoints")
@grouped
def client_checkpoints(
    kit: Kit,
    offline: Annotated[
        bool, typer.Option("--offline", help="Only show what is kept; ask the gateway nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch the log's newest checkpoint, prove that it goes on from the one kept here, and show what is kept."""
    from gateway.client.answers import base64_text
    from security.grants.windows import civil

    with kit_failures(as_json), kit.client(as_json) as client:
        before = client.witness.kept
        kept = client.witness.kept if offline else client.check_log()
        objections = [str(each) for each in client.witness.objections]
        pending = [rfc3339(at) for at in client.witness.pending.values()]
        result = {
            "ok": not objections,
            "origin": client.identity.log_key.name,
            "kept": None
            if kept is None
            else {"size": kept.size, "root": base64_text(kept.root), "note": client.witness.note},
            "before": None if before is None else before.size,
            "pending": pending,
            "objections": objections,
        }
        lines = [
            "no checkpoint is kept yet"
            if kept is None
            else f"{kept.origin}: size {kept.size}, root {base64_text(kept.root)}"
        ]
        if not offline and before is not None and kept is not None:
            lines.append(f"proved to go on from size {before.size}, which was kept before")
        lines += [f"not proved yet, first seen {civil(each)}" for each in pending]
        lines += [f"OBJECTION: {each}" for each in objections]
        emit(result, as_json, "\n".join(lines))
