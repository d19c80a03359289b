"""Example calls for the documentation page: the first calls in each language, and a program for zeep."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection
from decimal import Decimal
from html import escape
from keyword import iskeyword
from typing import Any

from contracts.base.words import Language
from contracts.canonical.model import Array, Choice, Operation, RecursiveRef, Struct, Type
from contracts.compiled.contract import CompiledContract
from contracts.faces.examples import valid
from contracts.faces.pages.first_calls import first_calls
from contracts.faces.pages.words import say


def calls(compiled: CompiledContract, language: Language, root: str, programs: Collection[str]) -> list[str]:
    """HTML with the calls of every operation. `root` is the public base address without a slash at its end."""
    parts = [f'<h2 id="calls">{say("calls", language)}</h2>', f"<p>{say('folder', language)}</p>"]
    for each in first_calls(compiled, list(compiled.contract.operations), root, programs):
        op = compiled.contract.operations[each.operation]
        texts = list(each.commands)
        if each.protocol == "SOAP":
            texts.append(("Python, zeep", zeep(compiled, op, valid(compiled, op.request)["smallest"], root)))
        parts.append(f"<h3><code>{escape(op.name)}</code>: {each.protocol}</h3>")
        parts += [
            f"<details><summary>{escape(tool)}</summary><pre><code>{escape(text)}</code></pre></details>"
            for tool, text in texts
        ]
    return parts


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
        'identity = Identity.load(".")',
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
