"""Example calls for the documentation page: signed with curl, and with zeep."""

from __future__ import annotations

import base64
import json
import shlex
from decimal import Decimal
from html import escape
from keyword import iskeyword
from typing import Any
from urllib.parse import quote

from contracts.base.words import Language
from contracts.canonical.model import Array, Choice, Operation, Pattern, RecursiveRef, Struct, Type
from contracts.codecs.query import query_text
from contracts.compiled.contract import CompiledContract
from contracts.faces.examples import Unsatisfiable, valid
from contracts.faces.pages.words import say
from contracts.wire.jsontext import pretty, read_json


def calls(compiled: CompiledContract, language: Language, root: str) -> list[str]:
    """HTML with the calls of every operation. `root` is the public base address without a slash at its end."""
    parts = [f"<h2>{say('calls', language)}</h2>", f"<p>{say('folder', language)}</p>"]
    for op in compiled.contract.operations.values():
        try:
            smallest = valid(compiled, op.request)["smallest"]
        except Unsatisfiable:
            continue
        own = next((read_json(each.canonical) for each in compiled.samples if each.message == op.request), smallest)
        tool = "curl" if compiled.contract.protection == "signed" else "REST"
        parts.append(
            f"<h3><code>{escape(op.name)}</code>: {tool}</h3><pre><code>{escape(curl(compiled, op, own))}</code></pre>"
        )
        parts.append(
            f"<h3><code>{escape(op.name)}</code>: zeep</h3>"
            f"<pre><code>{escape(zeep(compiled, op, smallest, root))}</code></pre>"
        )
    return parts


def curl(compiled: CompiledContract, op: Operation, value: dict[str, Any]) -> str:
    """The example client signs and curl sends within the 60 seconds of the signature.

    For encrypted contracts the example client sends, because curl cannot decrypt the answer.
    """
    path, client = f"/{compiled.contract.name}{op.path}", "python -m gateway.sample_client.curl --identity DIR"
    if compiled.contract.protection == "encrypted":
        identity = "" if op.pattern is Pattern.QUERY else "--id thu-01 "
        call = (
            f"python -m gateway.sample_client.rest --identity DIR --encrypt {identity}--body request.json POST {path}"
        )
        return f"cat > request.json <<'EOF'\n{pretty(value)}\nEOF\n{call}"
    if op.method == "GET":
        query = "&".join(f"{name}={quote(query_text(item), safe='')}" for name, item in value.items())
        return f'eval "$({client} GET {shlex.quote(f"{path}?{query}" if query else path)})"'
    identity = "" if op.pattern is Pattern.QUERY else "--id thu-01 "
    call = f"{client} {identity}--body request.json POST {path}"
    return f"cat > request.json <<'EOF'\n{pretty(value)}\nEOF\neval \"$({call})\""


def zeep(compiled: CompiledContract, op: Operation, value: dict[str, Any], root: str) -> str:
    """A Python program that calls the operation with zeep."""
    value = as_elements(compiled.messages[op.request], value)
    arguments = "".join(f"    {name}={_python(item)},\n" for name, item in value.items() if not iskeyword(name))
    words = {name: item for name, item in value.items() if iskeyword(name)}  # keywords, such as `from`
    arguments += f"    **{_python(words)},\n" if words else ""
    encrypted = ", encrypt_it=True" if compiled.contract.protection == "encrypted" else ""
    lines = [
        "import zeep",
        *(["from decimal import Decimal"] if "Decimal(" in arguments else []),
        "from gateway.sample_client.identity import Identity",
        "from gateway.sample_client.soap import ZeepSigner, zeep_transport",
        "",
        'identity = Identity.load("DIR")',
        f"wsdl = {json.dumps(f'{root}/soap/{compiled.contract.name}?wsdl')}",
        f"client = zeep.Client(wsdl, wsse=ZeepSigner(identity{encrypted}), transport=zeep_transport(identity))",
    ]
    return "\n".join([*lines, f"print(client.service.{op.name}(\n{arguments}))"])


def as_elements(type_: Type, value: Any) -> Any:
    """A canonical value in the shape of the XSD, as WSDL clients take it.

    A choice stands inside the element of its branch; binary values are bytes.
    """
    if isinstance(type_, RecursiveRef):
        type_ = type_.target
    if isinstance(value, dict) and set(value) == {"absent"}:
        return value
    if isinstance(type_, Choice):
        branch = next(each for each in type_.branches if value[type_.discriminator] in each.values)
        return {branch.type.name: as_elements(branch.type, value)}
    if isinstance(type_, Struct):
        fields = {each.name: each.type for each in type_.fields}
        return {name: as_elements(fields[name], item) for name, item in value.items()}
    if isinstance(type_, Array):
        return [as_elements(type_.items, item) for item in value]
    return base64.b64decode(value) if type_.binary else value


def _python(item: Any) -> str:
    if isinstance(item, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_python(each)}" for name, each in item.items()) + "}"
    if isinstance(item, list):
        return "[" + ", ".join(map(_python, item)) + "]"
    return f'Decimal("{item:f}")' if isinstance(item, Decimal) else repr(item)
