"""The first calls of a new system: what to send, and the command of each language that sends it.

The messages are the contract's samples. The programs are those of `examples/foreign/` and `gateway/sample_client/`,
served as they are.
"""

from __future__ import annotations

import io
import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from contracts.canonical.model import Operation
from contracts.codecs.query import query_text
from contracts.compiled.contract import CompiledContract
from contracts.faces.examples import Unsatisfiable, valid
from contracts.wire.jsontext import pretty, read_json

_TOP: Final = Path(__file__).resolve().parents[3]
_FOREIGN: Final = _TOP / "examples" / "foreign"
PYTHON: Final = "lgsp-python.zip"
_PROGRAMS: Final = {
    "lgsp.sh": ("curl/lgsp.sh", "text/x-shellscript"),
    "lgsp.mjs": ("node/lgsp.mjs", "text/javascript"),
    "Lgsp.java": ("java/Lgsp.java", "text/x-java"),
    "Lgsp.cs": ("dotnet/Lgsp.cs", "text/plain"),
    "Lgsp.csproj": ("dotnet/Lgsp.csproj", "text/xml"),
}
_NO_SEAL: Final = "encrypted"  # the short programs do not encrypt


@dataclass(frozen=True, slots=True)
class FirstCall:
    """`commands` by the name of the tool; each is to be pasted in the folder of keys."""

    contract: str
    operation: str
    protocol: str
    commands: tuple[tuple[str, str], ...]


def program(name: str) -> tuple[bytes, str] | None:
    """A file to download, and its media type; None for any other name, or where the file was not installed."""
    if name == PYTHON:
        return _python(), "application/zip"
    known = _PROGRAMS.get(name)
    if known is None or not (_FOREIGN / known[0]).is_file():
        return None
    return (_FOREIGN / known[0]).read_bytes(), known[1]


def programs() -> tuple[str, ...]:
    return tuple(name for name in (*_PROGRAMS, PYTHON) if program(name) is not None)


@cache
def _python() -> bytes:
    """The sample client: it uses nothing else of the gateway."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(zipfile.ZipInfo("gateway/__init__.py"), b"")
        for file in sorted((_TOP / "gateway" / "sample_client").glob("*.py")):
            package.writestr(zipfile.ZipInfo(f"gateway/sample_client/{file.name}"), file.read_bytes())
    return written.getvalue()


def first_calls(contract: CompiledContract, operations: Sequence[str], files: str) -> list[FirstCall]:
    """A call by REST and one by SOAP of each operation. `files` is the address that the programs are served below."""
    found: list[FirstCall] = []
    for name in operations:
        operation = contract.contract.operations[name]
        try:
            value = _sample(contract, operation)
        except Unsatisfiable:
            continue
        found.append(FirstCall(contract.contract.name, name, "REST", tuple(_rest(contract, operation, value, files))))
        found.append(FirstCall(contract.contract.name, name, "SOAP", tuple(_soap(contract, operation, value, files))))
    return found


def _sample(contract: CompiledContract, operation: Operation) -> dict[str, Any]:
    """The contract's own sample of the request, else the smallest message that it allows."""
    own = next((each.canonical for each in contract.samples if each.message == operation.request), None)
    value: dict[str, Any] = valid(contract, operation.request)["smallest"] if own is None else read_json(own)
    return value


def _rest(contract: CompiledContract, operation: Operation, value: dict[str, Any], files: str) -> list[tuple[str, str]]:
    path, body = f"/{contract.contract.name}{operation.path}", ""
    if operation.method == "GET":
        query = "&".join(f"{name}={quote(query_text(item), safe='')}" for name, item in value.items())
        path += f"?{query}" if query else ""
    else:
        body = "request.json"
    write = _written(body, pretty(value)) if body else ""
    target = f"{operation.method} {shlex.quote(path)}{f' {body}' if body else ''}"
    encrypts = contract.contract.protection == _NO_SEAL
    options = f"{'--encrypt ' if encrypts else ''}{f'--body {body} ' if body else ''}"
    fetch = f"curl --silent --show-error --remote-name {files}"
    python = f"{fetch}/{PYTHON}\n{_PYTHON_PATH} -m gateway.sample_client.rest --identity . {options}"
    commands = [("Python", f"{write}{python}{operation.method} {shlex.quote(path)}")]
    if encrypts:
        return commands
    short = [
        ("curl", f"{fetch}/lgsp.sh\nbash lgsp.sh . {target}", "lgsp.sh"),
        ("Node", f"{fetch}/lgsp.mjs\nnode lgsp.mjs . {target}", "lgsp.mjs"),
        ("Java", f"{fetch}/Lgsp.java\njava Lgsp.java . {target}", "Lgsp.java"),
        (
            ".NET",
            f"{fetch}/Lgsp.cs\n{fetch}/Lgsp.csproj\ndotnet run --project Lgsp.csproj -- . {target}",
            "Lgsp.cs",
        ),
    ]
    return [*((tool, write + text) for tool, text, file in short if program(file) is not None), *commands]


_PYTHON_PATH: Final = f"PYTHONPATH={PYTHON} python3"


def _soap(contract: CompiledContract, operation: Operation, value: dict[str, Any], files: str) -> list[tuple[str, str]]:
    body = contract.codec("canonical").write_xml(operation.request, value, operation.name).decode()
    option = " --encrypt" if contract.contract.protection == _NO_SEAL else ""
    named = f"--contract {contract.contract.name} --operation {operation.name}"
    text = (
        f"{_written('request.xml', body)}curl --silent --show-error --remote-name {files}/{PYTHON}\n"
        f"{_PYTHON_PATH} -m gateway.sample_client.soap --identity . {named} --file request.xml{option}"
    )
    return [("Python", text)]


def _written(file: str, text: str) -> str:
    """A here-document, with a word at its end that the text has not."""
    end = "END"
    while end in text:
        end += "_"
    return f"cat > {file} <<'{end}'\n{text}\n{end}\n"


def openssl(system: str, hosts: Sequence[str]) -> str:
    """The commands that make three keys and their requests. Hosts are those at which the system is called."""
    names = [f"URI:urn:lgsp:system:{system}"]
    server = ",".join([*names, *(f"{'IP' if _is_address(each) else 'DNS'}:{each}" for each in hosts)])
    lines = ["umask 077"]
    for use, how in (("tls", _P256), ("sign", _P256), ("encrypt", "RSA -pkeyopt rsa_keygen_bits:3072")):
        alternative = server if use == "tls" else names[0]
        lines.append(f"openssl genpkey -algorithm {how} -out {use}.key")
        lines.append(
            f"openssl req -new -key {use}.key -subj /CN={system} -addext 'subjectAltName={alternative}' -out {use}.csr"
        )
    return "\n".join(lines)


_P256: Final = "EC -pkeyopt ec_paramgen_curve:P-256"


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def as_json(calls: Sequence[FirstCall]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "contract": each.contract,
            "operation": each.operation,
            "protocol": each.protocol,
            "commands": dict(each.commands),
        }
        for each in calls
    ]
