"""A foreign interface that names addresses and files of others: whoever imports it fetches nothing and reads nothing
outside its folder."""

from __future__ import annotations

import builtins
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import Failure
from contracts.importers.formats.openapi import import_openapi
from contracts.importers.formats.wsdl import import_wsdl
from gateway.cli.contract.importing import _files

SECRET = (
    "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='secret-of-another-folder' "
    "type='xs:string'/></xs:schema>"
)
WSDL = """<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t"
 xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" targetNamespace="urn:t" name="A">{imports}<wsdl:types><xs:schema targetNamespace="urn:t">{includes}
<xs:element name="Hoi" type="xs:string"/></xs:schema></wsdl:types><wsdl:message name="M"><wsdl:part name="p" element="t:Hoi"/></wsdl:message>
<wsdl:portType name="P"><wsdl:operation name="Hoi"><wsdl:input message="t:M"/></wsdl:operation></wsdl:portType></wsdl:definitions>"""  # noqa: E501
LOCATIONS = {
    "an address": "http://127.0.0.1:1/x.xsd",
    "an address of TLS": "https://127.0.0.1:1/x.xsd",
    "an address of a cloud's metadata": "http://169.254.169.254/latest/meta-data/",
    "FTP": "ftp://127.0.0.1/x.xsd",
    "file:": "file://{outside}",
    "an absolute path": "{outside}",
    "a path that climbs": "../outside.xsd",
    "a path that climbs, escaped": "%2e%2e/outside.xsd",
    "another machine's share": "\\\\127.0.0.1\\share\\x.xsd",
    "a jar": "jar:http://127.0.0.1:1/x.jar!/x.xsd",
    "a scheme of PHP": "php://filter/resource={outside}",
}
PLACES = {
    "wsdl:import": ('<wsdl:import namespace="urn:u" location="{}"/>', ""),
    "xs:import": ("", '<xs:import namespace="urn:u" schemaLocation="{}"/>'),
    "xs:include": ("", '<xs:include schemaLocation="{}"/>'),
}


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """A folder to import from; what is connected to, or read outside of it, is noted."""
    done: list[str] = []
    outside = tmp_path / "outside.xsd"
    outside.write_text(SECRET)
    real = builtins.open

    def connect(self: Any, address: Any) -> None:
        done.append(f"connected to {address}")
        raise OSError("no road")

    def opened(file: Any, *of: Any, **how: Any) -> Any:
        if str(file) == str(outside):
            done.append(f"read {file}")
        return real(file, *of, **how)

    monkeypatch.setattr(socket.socket, "connect", connect)

    def looked_up(*of: Any, **how: Any) -> list[Any]:
        done.append(f"looked up {of[0]}")
        return []

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(builtins, "open", opened)
    folder = tmp_path / "in"
    folder.mkdir()
    return folder, done


@pytest.mark.attack("SSRF")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", LOCATIONS)
def test_an_import_of_a_wsdl(watched: tuple[Path, list[str]], name: str, place: str) -> None:
    folder, done = watched
    location = LOCATIONS[name].format(outside=folder.parent / "outside.xsd")
    imports, includes = (each.format(location) for each in PLACES[place])
    (folder / "main.wsdl").write_text(WSDL.format(imports=imports, includes=includes))
    try:
        made = repr(import_wsdl(_files(folder / "main.wsdl", None)))
    except Failure as failure:
        made = str(failure)
    assert not done and "secret-of-another-folder" not in made


@pytest.mark.attack("SSRF")
@pytest.mark.parametrize("name", LOCATIONS)
def test_a_reference_of_an_openapi(watched: tuple[Path, list[str]], name: str) -> None:
    folder, done = watched
    link = LOCATIONS[name].format(outside=folder.parent / "outside.xsd")
    content = {"application/json": {"schema": {"$ref": f"{link}#/A"}}}
    paths = {"/a": {"post": {"operationId": "a", "requestBody": {"content": content}, "responses": {}}}}
    (folder / "main.json").write_text(json.dumps({"openapi": "3.0.3", "paths": paths}))
    try:
        made = repr(import_openapi(_files(folder / "main.json", None)))
    except Failure as failure:
        made = str(failure)
    assert not done and "secret-of-another-folder" not in made
