"""The addresses of documents. `documents` makes the documents; what makes them is loaded when one is asked for."""

from __future__ import annotations

from typing import Final

from contracts.compiled.contract import CompiledContract

ROOT: Final = "/contracts"


def is_document(path: str) -> bool:
    return path == ROOT or path.startswith(ROOT + "/")


def foreign_faces(each: CompiledContract) -> dict[str, str]:
    """The address of the client document of each foreign format."""
    leaves = {"json": "openapi.json", "xml": "service.wsdl"}
    return {
        name: leaves[codec.media]
        for name, codec in each.formats.items()
        if name != "canonical" and codec.media in leaves
    }
