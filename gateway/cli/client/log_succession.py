"""`lgsp client accept-log`: a system goes on with the log that follows one that ended, when a person says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.client.kit import Kit, kit_failures
from gateway.cli.common.language import either
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import emit

if TYPE_CHECKING:
    from gateway.client.identities.succession import Succession
    from security.transparency.checkpoint import Checkpoint, NoteKey

commands = typer.Typer()


@dataclass(frozen=True, slots=True)
class Judgement:
    """By what a new log is judged: a key that was handed over, and whether entries may be lost."""

    key: NoteKey | None
    lost: bool

    def against(self, chain: tuple[Succession, ...], kept: Checkpoint | None) -> list[str]:
        """Why it is not accepted."""
        reasons = []
        if self.key is not None and self.key.text() != chain[-1].key.text():
            reasons.append("the key that was handed over is another / khóa được giao là khóa khác")
        elif self.key is None and not all(each.signed_by_old_key for each in chain):
            reasons.append(
                "the old key did not sign the new log: give its key with --vkey"
                " / khóa cũ không ký nhật ký mới: đưa khóa bằng --vkey"
            )
        if chain[0].denies(kept) and not self.lost:
            reasons.append(
                "the gateway does not own up to entries that this system saw signed: tell its operators, or say --lost"
                " / cổng trao đổi dữ liệu không thừa nhận những mục mà hệ thống này đã thấy ký:"
                " báo cho người vận hành, hoặc chấp nhận bằng --lost"
            )
        return reasons


@commands.command("accept-log")
@grouped
def client_accept_log(
    kit: Kit,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Go on with the new log; without it, what it proves and lacks is only shown."),
    ] = False,
    vkey: Annotated[
        str | None,
        typer.Option(
            "--vkey",
            help="The new log's key (or a file with it), as the operators handed it over by a way that you trust.",
        ),
    ] = None,
    lost: Annotated[
        bool,
        typer.Option(
            "--lost", help="Accept it although the gateway does not own up to entries that this system saw signed."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """After a gateway was restored and opened a new log: check that it follows the old one, and go on as its
    witness."""
    import asyncio

    with kit_failures(as_json):
        judgement = Judgement(None if vkey is None else _key(vkey), lost)
        chain, kept, old = asyncio.run(_accept(kit, accept, judgement, as_json))
        result, lines = _result(chain, kept, judgement, old)
        emit(result, as_json, "\n".join(lines))


async def _accept(
    kit: Kit, wanted: bool, judgement: Judgement, as_json: bool
) -> tuple[tuple[Succession, ...], Checkpoint | None, Path | None]:
    from gateway.client.client import AsyncClient
    from gateway.client.identities.succession import accept, ask

    async with AsyncClient(kit.load(as_json), state=kit.state) as client:
        chain, kept = await ask(client), client.witness.kept
        fit = wanted and bool(chain) and not judgement.against(chain, kept)
        return chain, kept, accept(client, kit.state, chain) if fit else None


def _result(
    chain: tuple[Succession, ...], kept: Checkpoint | None, judgement: Judgement, old: Path | None
) -> tuple[dict[str, Any], list[str]]:
    if not chain:
        return {"ok": True, "accepted": False, "logs": []}, [
            "the gateway still shows the log that is trusted here / nhật ký không đổi"
        ]
    against = judgement.against(chain, kept)
    logs = [
        {
            "origin": each.key.name,
            "vkey": each.key.text(),
            "before": each.old.name,
            "signed": 0 if each.admitted is None else each.admitted.size,
            "held": each.held,
            "reason": each.reason,
            "vouched": each.signed_by_old_key,
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
    lines = [_followed(each) for each in logs]
    held_here = either("kept here", "đang giữ"), either("lost", "đã mất")
    lines.append(f"{held_here[0]}: {result['kept']}; {held_here[1]}: {missing}")
    lines += [f"AGAINST / CHƯA ĐƯỢC: {each}" for each in against]
    if old is not None:
        lines.append(
            f"accepted; the old key is in {old}; start the system's processes anew"
            " / đã chấp nhận; khởi động lại các tiến trình"
        )
    elif not against:
        lines.append("say --accept to go on with it / thêm --accept để chấp nhận")
    return result, lines


def _followed(log: Mapping[str, Any]) -> str:
    """Why the log before ended (`gateway.backup.succession`), and what of it is there."""
    why = {
        "missing": either("signed entries were missing", "thiếu mục đã ký"),
        "unproven": either("nobody showed that it was whole", "không ai chứng tỏ nhật ký còn đủ"),
        "key-lost": either("its key was lost", "mất khóa của nhật ký"),
        "reopened": either("another log had followed it", "đã có nhật ký khác nối tiếp"),
    }.get(log["reason"], log["reason"])
    return (
        either(
            f"{log['origin']} follows {log['before']}: {log['held']} of {log['signed']} signed entries are there",
            f"{log['origin']} nối tiếp {log['before']}: còn {log['held']} trên {log['signed']} mục đã ký",
        )
        + f" ({why})"
    )


def _key(text: str) -> NoteKey:
    from security.transparency.checkpoint import NoteError, NoteKey

    path = Path(text)
    try:
        return NoteKey.from_text(path.read_text("utf-8").strip() if path.is_file() else text)
    except (OSError, UnicodeDecodeError, NoteError) as wrong:
        from gateway.client.errors import CLIENT_USAGE

        raise CLIENT_USAGE(what=f"--vkey: {wrong}") from None
