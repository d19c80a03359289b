"""The identity that a component system's command works with, and how its failures are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.base.errors import Finding
from contracts.wire.jsontext import text_of
from gateway.cli.common.options import identity_folder
from gateway.cli.common.output import Exit, exit_of, finding_json, finding_line, say

if TYPE_CHECKING:
    from gateway.client import Client, Identity

Passphrase = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the passphrase of encrypted private keys.")
]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class IdentityOptions:
    """The system's identity, and what opens its keys."""

    identity: Annotated[
        Path,
        typer.Option(
            "--identity",
            help="The system's identity folder, or its name in that of the instance ($LGSP_DATA, else ./lgsp-data).",
        ),
    ]
    passphrase: Passphrase = None

    def load(self, as_json: bool) -> Identity:
        from gateway.client import Identity

        return Identity.load(identity_folder(self.identity, None, as_json), passphrase=secret_in(self.passphrase))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Kit(IdentityOptions):
    """The identity, and where the checkpoints are kept that prove the log."""

    state: Annotated[
        Path | None,
        typer.Option("--state", help="Folder for checkpoints (default: `checkpoints` in the identity folder)."),
    ] = None

    clock: Annotated[
        str, typer.Option("--clock", help="The time to sign by: `host`, or `gateway`: your own clock in a sandbox.")
    ] = "host"

    def client(self, as_json: bool) -> Client:
        from gateway.client import Client
        from gateway.client.errors import CLIENT_USAGE
        from gateway.client.tenant_time import TenantTime

        if self.clock not in ("host", "gateway"):
            raise CLIENT_USAGE(what="--clock: host | gateway")
        identity = self.load(as_json)
        if self.clock == "gateway":
            return Client(identity, state=self.state, clock=TenantTime())
        return Client(identity, state=self.state)


def secret_in(file: Path | None) -> bytes | None:

    try:
        return None if file is None else file.read_bytes().rstrip(b"\r\n")
    except OSError as wrong:
        from gateway.client.errors import CLIENT_USAGE

        raise CLIENT_USAGE(what=f"{file}: {wrong.strerror}") from None


@contextmanager
def kit_failures(as_json: bool) -> Iterator[None]:
    """What went wrong, in the gateway's own words or the kit's, in both languages, with the exit code of who can mend
    it."""
    from gateway.client import BadIdentity, LogObjection, NoConnection, NotProven, Refused
    from gateway.client.errors import BadState, BadUsage

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
            say(text_of({"ok": False, "error": error | {"findings": [finding_json(each) for each in findings]}}))
        else:
            lines = [
                f"lgsp: {error['what']} [{trouble.code}]",
                *(finding_line(each) for each in findings),
                error["next"],
            ]
            say("\n      ".join(lines), to=sys.stderr)
        raise SystemExit(code) from None
