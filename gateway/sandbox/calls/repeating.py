"""Commands that repeat a call with curl, in the folder of the caller's own keys.

Invariant: no command has a secret; keys are named by their files, tokens by variables of the shell.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Final

from contracts.faces.pages.first_calls import fetch
from gateway.sandbox.calls.traces import REQUEST, Trace

_CURL: Final = "curl --silent --show-error"
_MUTUAL: Final = "--cacert ca.crt --cert tls.crt --key tls.key"
# What curl sends by itself, and what a repeat must not bring.
_OWN: Final = frozenset({"host", "content-length", "connection", "accept-encoding", "user-agent", "transfer-encoding"})
_SOAP: Final = "/soap/"


@dataclass(frozen=True, slots=True)
class Repeat:
    """`fetch`: gets the body that was sent, where it is kept. `signed`: signs the call anew; empty for SOAP.
    `same`: sends the same bytes, whose signature is fresh for a few minutes only.
    """

    fetch: str
    signed: str
    same: str


def repeat(id: str, trace: Trace, parts: tuple[str, ...], origin: str, base: str) -> Repeat:
    """`origin`: of the listener for people. `base`: the gateway's public address."""
    path = trace.target.removeprefix(base)
    soap = path.startswith(_SOAP)
    file = "" if trace.size == 0 else "request.xml" if soap else "request.json"
    part = next((each for each in (REQUEST, "request") if each in parts), None)
    fetch = "" if part is None or not file else _fetch(id, part, file, origin)
    sealed = trace.headers.get("content-type", "").startswith("application/jose")
    signed = "" if soap or sealed else _signed(trace.method, path, file, base)
    return Repeat(fetch, signed, _same(trace, file))


def _fetch(id: str, part: str, file: str, origin: str) -> str:
    asked = json.dumps({"part": part, "reason": "to repeat my own call"})
    return (
        f'{_CURL} --fail --header "Authorization: Bearer $TOKEN" --json {shlex.quote(asked)} '
        f"--output {file} {shlex.quote(f'{origin}/sandbox/api/calls/{id}/bodies')}"
    )


def _signed(method: str, path: str, file: str, base: str) -> str:
    return (
        f"{fetch(base, 'lgsp.sh')}bash lgsp.sh . {shlex.quote(method)} {shlex.quote(path)}{f' {file}' if file else ''}"
    )


def _same(trace: Trace, file: str) -> str:
    lines = [f"{_CURL} --globoff --path-as-is {_MUTUAL} --request {shlex.quote(trace.method)}"]
    for name, value in trace.headers.items():
        if name == "authorization":
            lines.append('--header "Authorization: Bearer $ACCESS"')
        elif name not in _OWN:
            lines.append(f"--header {shlex.quote(f'{name}: {value}' if value else f'{name};')}")
    if file:
        lines.append(f"--data-binary @{file}")
    lines.append(shlex.quote(trace.target))
    return " \\\n  ".join(lines)
