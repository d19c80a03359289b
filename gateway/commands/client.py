"""`lgsp client`: calls, proofs and checkpoints of a component system, and the beginning of its identity folder.

Invariant: nothing of the server is loaded here (a test looks), so that this runs where only the kit is installed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from contracts.base.errors import Finding
from contracts.base.times import rfc3339
from contracts.base.words import Language
from contracts.wire.jsontext import text_of
from gateway.client import Answer, BadIdentity, Client, Identity, LogObjection, NoConnection, NotProven, Refused
from gateway.client.answers import base64_text
from gateway.client.errors import CLIENT_USAGE, BadState, BadUsage
from gateway.client.identities import enrol
from gateway.commands import given, statement_file
from gateway.commands.output import Exit, emit, exit_of, fail, finding_json, told
from security.grants.windows import civil

_WITH_BODY: Final = ("POST", "PUT", "PATCH")


def call(
    identity: Path,
    passphrase: Path | None,
    state: Path | None,
    method: str,
    path: str,
    body: str | None,
    message_id: str | None,
    content_type: str,
    language: str,
    as_json: bool,
) -> None:
    if body is None and method in _WITH_BODY:
        what = f"{method} {path} hands in a message, and there is no --body / lời gọi này nộp một thông điệp mà không có --body"
        then = "Give its file: --body FILE, or --body - for standard input. / Nêu tệp: --body TỆP, hoặc --body - để đọc đầu vào chuẩn."
        fail(Exit.USAGE, "no-body", what, then, as_json)
    with told_in_words(as_json), _client(identity, passphrase, state) as client:
        content = None if body is None else _content(body, as_json)
        answer = client.rest(
            method, path, content, message_id, content_type=content_type, language=cast(Language, language)
        )
        _answered(answer, as_json)


def soap(
    identity: Path,
    passphrase: Path | None,
    state: Path | None,
    contract: str,
    file: str,
    message_id: str | None,
    action: str | None,
    version: str,
    as_json: bool,
) -> None:
    with told_in_words(as_json), _client(identity, passphrase, state) as client:
        _answered(client.soap(contract, _content(file, as_json), message_id, action=action, version=version), as_json)


def token(identity: Path, passphrase: Path | None, as_json: bool) -> None:
    with told_in_words(as_json), _client(identity, passphrase, None) as client:
        found = client.token()
        emit({"ok": True, "token": found}, as_json, found)


def feed(
    identity: Path,
    passphrase: Path | None,
    state: Path | None,
    contract: str,
    after: str | None,
    limit: int,
    as_json: bool,
) -> None:
    with told_in_words(as_json), _client(identity, passphrase, state) as client:
        page = client.feed(contract, after, limit)
        if not as_json:
            print(
                f"next: --after {page.next}{'' if page.more else '  (no more for now / chưa có tin mới hơn)'}",
                file=sys.stderr,
            )
        result = {"ok": True, "events": list(page.events), "next": page.next, "more": page.more}
        emit(result, as_json, "\n".join(map(text_of, page.events)))


def prove(
    identity: Path, passphrase: Path | None, state: Path | None, transfer: str, out: Path | None, as_json: bool
) -> None:
    transfer = given.transfer_id(transfer, as_json, at_system=True)
    with told_in_words(as_json), _client(identity, passphrase, state) as client:
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
            f"{each.phase:<8} is entry {each.index} of {proof.checkpoint.origin}, proved under size {proof.checkpoint.size}"
            for each in proof.entries
        ]
        emit(
            {"ok": True, "transfer": transfer, "checkpoint": checkpoint, "entries": entries, "files": files},
            as_json,
            "\n".join([*lines, *files]),
        )


def reconcile(
    identity: Path, passphrase: Path | None, state: Path | None, file: Path, day: str | None, as_json: bool
) -> None:
    said = statement_file.read(file, day, None, as_json)
    with told_in_words(as_json), _client(identity, passphrase, state) as client:
        found = client.reconcile(said)
        emit({"ok": found["differences"] == 0, **found}, as_json, statement_file.text_of(found))


def checkpoints(identity: Path, passphrase: Path | None, state: Path | None, offline: bool, as_json: bool) -> None:
    with told_in_words(as_json), _client(identity, passphrase, state) as client:
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


def keygen(system: str, out: Path, hosts: Sequence[str], passphrase: Path | None, as_json: bool) -> None:
    with told_in_words(as_json):
        requests = enrol.keygen(system, out, hosts=hosts, passphrase=secret_in(passphrase))
        then = "Send the requests (.csr) to the gateway's operator; never a .key. / Gửi các tệp .csr cho đơn vị vận hành trục; không gửi tệp .key."
        lines = [*map(str, requests), then]
        emit(
            {"ok": True, "system": system, "folder": str(out), "requests": [str(each) for each in requests]},
            as_json,
            "\n".join(lines),
        )


def install(
    folder: Path,
    certificates: Sequence[Path],
    trust: Path | None,
    facts: dict[str, str],
    passphrase: Path | None,
    as_json: bool,
) -> None:
    with told_in_words(as_json):
        done = enrol.install(
            folder, certificates, time.time(), facts=facts, trust=trust, passphrase=secret_in(passphrase)
        )
        lines = [f"{use}.crt until {civil(until)}" for use, until in done.put.items()]
        lines += [f"missing: {each} / còn thiếu: {each}" for each in done.missing] or ["complete / đủ"]
        if told := " ".join(f"--{use}-key-id {key_id}" for use, key_id in done.assumed.items() if use != "tls"):
            lines.append(
                f"Taken as enrolled under {told}. If the operator names other ids, as for a later key, run this again with those. / "
                f"Coi như đã đăng ký với {told}. Nếu đơn vị vận hành báo mã khóa khác, như với khóa đổi mới, chạy lại với mã ấy."
            )
        result = {"ok": not done.missing, "put": done.put, "missing": list(done.missing), "assumed": done.assumed}
        emit(result, as_json, "\n".join(lines))


def _client(identity: Path, passphrase: Path | None, state: Path | None) -> Client:
    return Client(Identity.load(identity, passphrase=secret_in(passphrase)), state=state)


def secret_in(file: Path | None) -> bytes | None:
    try:
        return None if file is None else file.read_bytes().rstrip(b"\r\n")
    except OSError as wrong:
        raise CLIENT_USAGE(what=f"{file}: {wrong.strerror}") from None


def _content(file: str, as_json: bool) -> bytes:
    then = "Name the file to send, or - for standard input. / Chỉ tệp cần gửi, hoặc - để đọc từ đầu vào chuẩn."
    return sys.stdin.buffer.read() if file == "-" else given.content(Path(file), then, as_json)


def _answered(answer: Answer, as_json: bool) -> None:
    try:
        shown: Any = answer.json()
    except ValueError:
        shown = answer.body.decode("utf-8", "replace")
    leaves = (
        {} if answer.receipt is None else {phase: base64_text(leaf) for phase, leaf in answer.receipt.leaves.items()}
    )
    result = {
        "ok": True,
        "status": answer.status,
        "queued": answer.queued,
        "transfer": answer.transfer,
        "message_id": answer.message_id,
        "receipt": leaves,
        "checkpoint": answer.checkpoint,
        "answer": shown,
    }
    if not as_json:  # the answer alone on standard output, what it proves beside it
        print(f"{answer.status}  transfer {answer.transfer}  message {answer.message_id or '–'}", file=sys.stderr)
    emit(result, as_json, answer.body.decode("utf-8", "replace"))


@contextmanager
def told_in_words(as_json: bool) -> Iterator[None]:
    """What went wrong, in the gateway's own words or the kit's, in both languages, with the exit code of who can mend it."""
    try:
        yield
    except (Refused, BadIdentity, BadState, BadUsage, NoConnection, NotProven, LogObjection) as trouble:
        code = exit_of(trouble.code, trouble.branch, refused=isinstance(trouble, Refused))
        if isinstance(trouble, LogObjection):  # the log was held against what it had signed: that is the answer
            code = Exit.NO
        findings: Sequence[Finding] = trouble.findings
        error: dict[str, Any] = {
            "code": trouble.code,
            "branch": trouble.branch.value,
            "what": f"{trouble.what('en')} / {trouble.what('vi')}",
            "next": f"{trouble.next('en')} / {trouble.next('vi')}",
        }
        if isinstance(trouble, Refused):
            error |= {"status": trouble.status, "transfer": trouble.transfer, "proven": trouble.proven}
        elif isinstance(trouble, LogObjection):
            error["kept"] = str(trouble.kept)
        if as_json:
            print(text_of({"ok": False, "error": error | {"findings": [finding_json(each) for each in findings]}}))
        else:
            lines = [f"lgsp: {error['what']} [{trouble.code}]", *(told(each) for each in findings), error["next"]]
            print("\n      ".join(lines), file=sys.stderr)
        raise SystemExit(code) from None
