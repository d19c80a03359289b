"""What `lgsp audit verify` adds if witnesses or anchors are given: a check of the stored cosignatures and
time-stamps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common.arguments import named_key
from gateway.cli.common.output import Exit, fail
from gateway.cli.common.progress import Progress

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.audit.witnessing.verify import Outside, Trusted
    from security.transparency.checkpoint import NoteKey
    from security.transparency.cosignature import CosignerKey


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Others:
    """Who else signed for the log, as the options name them."""

    witness: Annotated[
        list[str] | None,
        typer.Option(
            "--witness",
            help="Verifier key of a witness, or a file that holds it; checks the stored cosignatures. May be repeated.",
        ),
    ] = None
    quorum: Annotated[int, typer.Option("--quorum", min=1, help="How many of these witnesses must have cosigned.")] = 1
    stamp_anchors: Annotated[
        Path | None,
        typer.Option(
            "--stamp-anchors", help="Authorities (PEM) that the time-stamps lead up to; checks the stored ones."
        ),
    ] = None

    @property
    def given(self) -> bool:
        return bool(self.witness or self.stamp_anchors)


def check_outside(
    trusted: Trusted, connection: Connection, key: NoteKey, progress: Progress, origin: str
) -> Outside | None:
    """What the stored cosignatures and stamps prove; None if nobody is trusted."""
    from gateway.audit.witnessing.verify import verify_outside

    if not trusted.witnesses and not trusted.anchors:
        return None
    task = progress.add_task("cosignatures, stamps", total=None)
    return verify_outside(
        connection, key, origin, trusted, on_progress=lambda done: progress.update(task, completed=done)
    )


def trusted_of(others: Others, as_json: bool) -> Trusted:
    from gateway.audit.witnessing.config import read_anchors
    from gateway.audit.witnessing.verify import Trusted
    from gateway.settings import BadSetting

    keys = tuple(_key(each, as_json) for each in others.witness or ())
    needed, anchors = others.quorum, others.stamp_anchors
    if keys and needed > len(keys):
        what = f"{needed} of {len(keys)} witnesses cannot cosign / số bên chứng kiến ít hơn số cần có"
        fail(Exit.USAGE, "bad-quorum", what, "Give every witness with --witness. / Ghi đủ các bên chứng kiến.", as_json)
    try:
        certificates = read_anchors(anchors, "--stamp-anchors") if anchors is not None else ()
    except BadSetting as trouble:
        fail(
            Exit.USAGE,
            "bad-certificates",
            f"{trouble.words.en} / {trouble.words.vi}",
            "Name a file of certificates in PEM. / Chọn tệp PEM.",
            as_json,
        )
    return Trusted(keys, needed, certificates)


def _key(text: str, as_json: bool) -> CosignerKey:
    from security.transparency.cosignature import CosignerKey

    try:
        return named_key(CosignerKey, text)
    except (OSError, ValueError) as trouble:
        what = (
            f"{text} is neither a witness's key nor a file that holds one ({trouble})"
            " / không phải khóa của bên chứng kiến"
        )
        fail(Exit.USAGE, "bad-key", what, "As `lgsp witness key` shows it. / Như `lgsp witness key` hiển thị.", as_json)
