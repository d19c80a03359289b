"""`lgsp access approve|sign`: the signatures of officers, over one content or several at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.base.errors import Failure
from gateway.cli.access import candidates, contents, rows, signing
from gateway.cli.access.signing import Signer
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, exit_of, fail, told
from gateway.cli.registry.registry import listed

if TYPE_CHECKING:
    from gateway.registry.seals.sealing import Act
    from gateway.settings import Settings

commands = typer.Typer()
Officer = Annotated[str, typer.Option("--officer", help="Id of the officer who signs.")]
_Sign = Callable[[bytes], str]  # the signature of a content


@commands.command("approve")
def access_approve(
    grants: list[str],
    officer: Officer,
    key: Annotated[
        Path | None, typer.Option("--key", help="The officer's private key (PEM, P-256 or Ed25519).")
    ] = None,
    signature: Annotated[
        str | None,
        typer.Option(
            "--signature", help="A signature made elsewhere by `lgsp access sign`; of several, with blanks between."
        ),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Sign grants as they stand, as an officer; or, by officer/ID or person/ID, somebody who is to be admitted, or by
    passkey/THUMBPRINT an officer's passkey; or what a registry document proposes: route/CONTRACT/OPERATION, system/ID,
    agency/CODE; or workflow/CONTRACT, which also an officer of the contract's owner has to sign.

    Of several each is signed or refused by itself, in the order given; the exit code is 0 if all were signed."""
    settings = load_instance(data, as_json)
    signs = _signing(grants, signature, Signer(officer, key, as_json) if not signature else None, as_json)
    if len(grants) == 1:
        result, text = _approve(settings, grants[0], officer, signs[0])
        emit({"ok": True, **result}, as_json, text)
    listing: list[dict[str, Any]] = []
    lines, ends = [], Exit.WELL
    for subject, sign in zip(grants, signs, strict=True):
        try:
            result, text = _approve(settings, subject, officer, sign)
        except Failure as failure:
            what, following = told(failure)
            ends = max(ends, exit_of(failure.code, failure.branch))
            listing.append(
                {"subject": subject, "ok": False, "error": {"code": failure.code, "what": what, "next": following}}
            )
            lines.append(f"{subject}: not signed / chưa ký: {what}\n      {following}")
        else:
            listing.append({"subject": subject, "ok": True, **result})
            lines.append(text if text.startswith(subject) else f"{subject}: {text}")
    emit({"ok": ends is Exit.WELL, "subjects": listing}, as_json, "\n".join(lines), ends=ends)


def _signing(grants: list[str], given: str | None, signer: Signer | None, as_json: bool) -> list[_Sign]:
    """How each content is signed, in their order."""
    if signer is not None:
        return [signer.sign] * len(grants)
    made = (given or "").split()
    if len(made) != len(grants):
        what = f"{len(grants)} to sign, {len(made)} signatures / số chữ ký không khớp số nội dung"
        then = "Give one signature for each, in the same order. / Mỗi nội dung một chữ ký, theo cùng thứ tự."
        fail(Exit.USAGE, "signatures", what, then, as_json)
    return [partial(_made_elsewhere, mark) for mark in made]


def _made_elsewhere(signature: str, _content: bytes) -> str:
    return signature


def _approve(settings: Settings, subject: str, officer: str, sign: _Sign) -> tuple[dict[str, Any], str]:
    """One transaction. For programs and for people. Raises `Failure`: then nothing was signed."""
    from gateway.journal.database import open_engine
    from gateway.registry.seals.sealing import Seal, changing

    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        return _signed(act, subject, officer, sign)


def _signed(act: Act, path: str, officer: str, sign: _Sign) -> tuple[dict[str, Any], str]:
    from gateway.registry.changes import deciding
    from gateway.registry.changes.content import Subject
    from gateway.registry.changes.granting import GRANT

    now, connection = time.time(), act.connection
    asked, subject, named = deciding.asked(connection, path), Subject.at(path), candidates.named(path)
    before = contents.opened(connection, subject) if subject is not None else None
    signed = deciding.sign(connection, path, officer, sign(asked.content), now)
    deciding.record(act, signed.changes, now, actor(), **signed.facts())
    result: dict[str, Any]
    if subject is not None and before is not None:
        result, text = contents.told(connection, subject, before, signed, now)
    elif asked.what == GRANT:
        standing = rows.grant_of(connection, path)
        result = rows.row(standing, now)
        text = f"{path}: {rows.signatures(standing)}: {', '.join(standing.approved_by) or '–'}"
        text += "" if signed.changes else "; signed before / đã ký từ trước"
    elif named is not None:
        roll, name = named
        row, text = candidates.approved(connection, roll, name, new=bool(signed.changes))
        result = {roll.what: name, **row}
    else:
        result = {asked.what: asked.name}
        done = ", ".join(f"{each.what} {each.id}: {each.how}" for each in signed.changes)
        text = done or "signed before / đã ký từ trước"
    return {"changes": listed(signed.changes), **result}, text


@commands.command("sign")
def access_sign(
    content: Path,
    officer: Officer,
    key: Annotated[Path, typer.Option("--key", help="The officer's private key.")],
    as_json: AsJson = False,
) -> None:
    """Sign contents away from the gateway: CONTENT is what `lgsp access show GRANT --canonical` printed, a line each;
    the signatures are printed in their order."""
    from security.grants.grants import digest

    # Away from the gateway: the officer's own machine sees the content, makes the signature, keeps the key.
    each_content = signing.contents(content, as_json)
    signer = Signer(officer, key, as_json)
    signed = [{"digest": digest(each), "signature": signer.sign(each)} for each in each_content]
    result = signed[0] if len(signed) == 1 else {"signatures": signed}
    emit({"ok": True, "officer": officer, **result}, as_json, "\n".join(each["signature"] for each in signed))
