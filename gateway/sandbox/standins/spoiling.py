"""Spoils the text of an answer before it is signed: cut off, or with a field of another type."""

from __future__ import annotations

import json
from typing import Any

from lxml import etree

from gateway.sample_client.wssec import Element, canonical, parse


def cut(body: bytes) -> bytes:
    """Half of it: neither JSON nor XML."""
    return body[: max(1, len(body) // 2)]


def json_of_wrong_type(body: bytes) -> bytes:
    """The first single value becomes an object."""
    content = json.loads(body)
    done = _replaced(content)
    return json.dumps(done if done is not None else [content], ensure_ascii=False).encode()


def xml_of_wrong_type(body: bytes) -> bytes:
    """The first element without children gets one."""
    root = parse(body)
    leaf = next((each for each in root.iter(etree.Element) if len(each) == 0), root)
    etree.SubElement(leaf, "sai-kieu").text = "x"
    return canonical(root)


def _replaced(content: Any) -> Any:
    """A copy with its first single value replaced; None if there is none."""
    if isinstance(content, dict | list):
        items = list(content.items()) if isinstance(content, dict) else list(enumerate(content))
        for name, value in items:
            done = _replaced(value)
            if done is not None:
                content[name] = done
                return content
        return None
    return {"sai-kieu": content}


def altered(root: Element, soap: str) -> None:
    """An element more in a Body that was signed."""
    body = root.find(f"{{{soap}}}Body")
    if body is not None:
        etree.SubElement(body, "sau-khi-ky")
