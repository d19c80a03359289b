"""The first calls of a system: what to send, and the command of each language that sends it.

The messages are the contract's samples. The commands are to be pasted in the system's folder of keys, as they stand.
The programs that they fetch are served below `/contracts/files` of both listeners (`gateway.doors.programs`).
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from contracts.canonical.model import Operation
from contracts.codecs.query import query_text
from contracts.compiled.contract import CompiledContract
from contracts.faces.examples import Unsatisfiable, valid
from contracts.wire.jsontext import pretty, read_json

FILES: Final = "/contracts/files"
PYTHON: Final = "lgsp-python.zip"
_SEALED: Final = "encrypted"  # the short programs do not encrypt
_PYTHON_PATH: Final = f"PYTHONPATH={PYTHON} python3"
# what `gateway.sample_client` imports; a comment, since where Python is managed it goes into an environment of its own
_NEEDS: Final = (
    "# once / một lần: python3 -m venv venv && . venv/bin/activate && python3 -m pip install cryptography lxml pyjwt\n"
)
_SHORT: Final = (
    ("curl", ("lgsp.sh",), "bash lgsp.sh"),
    ("Node", ("lgsp.mjs",), "node lgsp.mjs"),
    ("Java", ("Lgsp.java",), "java Lgsp.java"),
    (".NET", ("Lgsp.cs", "Lgsp.csproj"), "dotnet run --project Lgsp.csproj --"),
)


@dataclass(frozen=True, slots=True)
class FirstCall:
    """`commands` by the name of the tool."""

    contract: str
    operation: str
    protocol: str
    commands: tuple[tuple[str, str], ...]


def first_calls(
    contract: CompiledContract, operations: Sequence[str], base: str, programs: Collection[str]
) -> list[FirstCall]:
    """A call by REST and one by SOAP of each operation, for the tools whose programs are served.

    `base` is the gateway's public address. The folder's `ca.crt` says whom to trust there.
    """
    found: list[FirstCall] = []
    for name in operations:
        operation = contract.contract.operations[name]
        try:
            value = _sample(contract, operation)
        except Unsatisfiable:
            continue
        rest = tuple(_rest(contract, operation, value, base, programs))
        soap = tuple(_soap(contract, operation, value, base))
        found.append(FirstCall(contract.contract.name, name, "REST", rest))
        found.append(FirstCall(contract.contract.name, name, "SOAP", soap))
    return found


def _sample(contract: CompiledContract, operation: Operation) -> dict[str, Any]:
    """The contract's own sample of the request, else the smallest message that it allows."""
    own = next((each.canonical for each in contract.samples if each.message == operation.request), None)
    value: dict[str, Any] = valid(contract, operation.request)["smallest"] if own is None else read_json(own)
    return value


def verified_by(base: str, certificate: str) -> str:
    """The command that checks a certificate of conformance, in a system's folder of keys."""
    known = "--vkey log.vkey --gateway gateway-sign.crt"
    return f"{fetch(base, PYTHON)}{_PYTHON_PATH} -m gateway.audit.verifier.conformance {certificate} {known}"


def fetch(base: str, *names: str) -> str:
    """The commands that get programs, in a folder with `ca.crt`."""
    return "".join(f"curl --silent --show-error --cacert ca.crt --remote-name {base}{FILES}/{name}\n" for name in names)


def _rest(
    contract: CompiledContract, operation: Operation, value: dict[str, Any], base: str, programs: Collection[str]
) -> list[tuple[str, str]]:
    path, body = f"/{contract.contract.name}{operation.path}", ""
    if operation.method == "GET":
        query = "&".join(f"{name}={quote(query_text(item), safe='')}" for name, item in value.items())
        path += f"?{query}" if query else ""
    else:
        body = "request.json"
    write = _written(body, pretty(value)) if body else ""
    target = f"{operation.method} {shlex.quote(path)}"
    sealed = contract.contract.protection == _SEALED
    options = f"{'--encrypt ' if sealed else ''}{f'--body {body} ' if body else ''}"
    python = f"{_NEEDS}{fetch(base, PYTHON)}{_PYTHON_PATH} -m gateway.sample_client.rest --identity . {options}{target}"
    short = [
        (tool, f"{write}{fetch(base, *files)}{start} . {target}{f' {body}' if body else ''}")
        for tool, files, start in _SHORT
        if not sealed and all(each in programs for each in files)
    ]
    return [*short, ("Python", write + python)]


def _soap(contract: CompiledContract, operation: Operation, value: dict[str, Any], base: str) -> list[tuple[str, str]]:
    body = contract.codec("canonical").write_xml(operation.request, value, operation.name).decode()
    option = " --encrypt" if contract.contract.protection == _SEALED else ""
    named = f"--contract {contract.contract.name} --operation {operation.name}"
    text = (
        f"{_written('request.xml', body)}{_NEEDS}{fetch(base, PYTHON)}"
        f"{_PYTHON_PATH} -m gateway.sample_client.soap --identity . {named} --file request.xml{option}"
    )
    return [("Python", text)]


def _written(file: str, text: str) -> str:
    """A here-document, with a word at its end that the text has not."""
    end = "END"
    while end in text:
        end += "_"
    return f"cat > {file} <<'{end}'\n{text}\n{end}\n"
