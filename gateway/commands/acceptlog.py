"""`lgsp client accept-log`: a witness of a log that ended goes on with the one that follows it, when a person says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gateway.client import Identity
from gateway.client.client import AsyncClient
from gateway.client.errors import CLIENT_USAGE
from gateway.client.identities.succession import Succession, accept, ask
from gateway.commands.client import secret_in, told_in_words
from gateway.commands.output import emit
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey


def accept_log(
    identity: Path, passphrase: Path | None, state: Path | None, yes: bool, vkey: str | None, lost: bool, as_json: bool
) -> None:
    with told_in_words(as_json):
        given = None if vkey is None else _key(vkey)
        who = Identity.load(identity, passphrase=secret_in(passphrase))
        chain, kept, old = asyncio.run(_accept(who, state, yes, given, lost))
        result, lines = _said(chain, kept, given, lost, old)
        emit(result, as_json, "\n".join(lines))


async def _accept(
    who: Identity, state: Path | None, yes: bool, given: NoteKey | None, lost: bool
) -> tuple[tuple[Succession, ...], Checkpoint | None, Path | None]:
    async with AsyncClient(who, state=state) as client:
        chain, kept = await ask(client), client.witness.kept
        fit = yes and bool(chain) and not _against(chain, kept, given, lost)
        return chain, kept, accept(client, state, chain) if fit else None


def _against(chain: tuple[Succession, ...], kept: Checkpoint | None, given: NoteKey | None, lost: bool) -> list[str]:
    """Why it is not accepted."""
    said = []
    if given is not None and given.text() != chain[-1].key.text():
        said.append("the key that was handed over is another / khóa được giao là khóa khác")
    elif given is None and not all(each.vouched for each in chain):
        said.append(
            "the old key did not sign the new log: give its key with --vkey / khóa cũ không ký nhật ký mới: đưa khóa bằng --vkey"
        )
    if chain[0].denies(kept) and not lost:
        said.append(
            "the gateway does not own up to entries that this system saw signed: tell its operators, or say --lost / "
            "trục không thừa nhận những mục mà hệ thống này đã thấy ký: báo cho người vận hành, hoặc chấp nhận bằng --lost"
        )
    return said


def _said(
    chain: tuple[Succession, ...], kept: Checkpoint | None, given: NoteKey | None, lost: bool, old: Path | None
) -> tuple[dict[str, Any], list[str]]:
    if not chain:
        return {"ok": True, "accepted": False, "logs": []}, [
            "the gateway still shows the log that is trusted here / nhật ký không đổi"
        ]
    against = _against(chain, kept, given, lost)
    logs = [
        {
            "origin": each.key.name,
            "vkey": each.key.text(),
            "before": each.old.name,
            "signed": 0 if each.admitted is None else each.admitted.size,
            "held": each.held,
            "reason": each.reason,
            "vouched": each.vouched,
        }
        for each in chain
    ]
    missing = chain[0].lost(kept)
    result = {
        "ok": old is not None,
        "accepted": old is not None,
        "logs": logs,
        "kept": None if kept is None else kept.size,
        "lost": missing,
        "denied": chain[0].denies(kept),
        "against": against,
        "old_key": None if old is None else str(old),
    }
    lines = [
        f"{each['origin']} follows {each['before']} ({each['reason']}): {each['held']} of {each['signed']} signed entries are there"
        for each in logs
    ]
    lines.append(f"kept here / đang giữ: {result['kept']}; lost / đã mất: {missing}")
    lines += [f"AGAINST / CHƯA ĐƯỢC: {each}" for each in against]
    if old is not None:
        lines.append(
            f"accepted; the old key is in {old}; start the system's processes anew / đã chấp nhận; khởi động lại các tiến trình"
        )
    elif not against:
        lines.append("say --accept to go on with it / thêm --accept để chấp nhận")
    return result, lines


def _key(text: str) -> NoteKey:
    path = Path(text)
    try:
        return NoteKey.from_text(path.read_text("utf-8").strip() if path.is_file() else text)
    except (OSError, UnicodeDecodeError, NoteError) as wrong:
        raise CLIENT_USAGE(what=f"--vkey: {wrong}") from None
