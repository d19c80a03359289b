"""The addresses of documents. `documents` makes the documents; what makes them is loaded when one is asked for."""

from __future__ import annotations

from typing import Final

from contracts.compiled.contract import CompiledContract
from gateway.settings import Settings

ROOT: Final = "/contracts"


def is_document(path: str) -> bool:
    return path == ROOT or path.startswith(ROOT + "/")


def site_of(settings: Settings) -> str:
    """The people's listener, as the exchange listener tells of it; empty where nobody else may reach it."""
    return settings.desk_base.rstrip("/") or (settings.desk_named if settings.kind == "sandbox" else "")


def to_read(base: str, site: str) -> str:
    """Where a developer reads on: the catalogue, and the documentation site if the people's listener is known."""
    return f"{base}{ROOT}" + (f" · {site}/docs" if site else "")


def read_on(settings: Settings) -> str:
    return to_read(settings.base, site_of(settings))


def foreign_faces(each: CompiledContract) -> dict[str, str]:
    """The address of the client document of each foreign format."""
    leaves = {"json": "openapi.json", "xml": "service.wsdl"}
    return {
        name: leaves[codec.media]
        for name, codec in each.formats.items()
        if name != "canonical" and codec.media in leaves
    }
