"""The programs that make a signed call, as they are served: those of `examples/foreign/`, and the sample client. With
it comes what checks certificates of conformance.

Invariant: a name is one of a fixed list. It never becomes a path.
"""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path
from typing import Final

from contracts.faces.pages.first_calls import PYTHON

_TOP: Final = Path(__file__).resolve().parents[2]
# In a checkout they are in `examples/`; an installed package has them beside this module.
_BESIDE: Final = Path(__file__).with_name("foreign")
_FOREIGN: Final = _BESIDE if _BESIDE.is_dir() else _TOP / "examples" / "foreign"
_PROGRAMS: Final = {
    "lgsp.sh": ("curl/lgsp.sh", "text/x-shellscript"),
    "lgsp.mjs": ("node/lgsp.mjs", "text/javascript"),
    "Lgsp.java": ("java/Lgsp.java", "text/x-java"),
    "Lgsp.cs": ("dotnet/Lgsp.cs", "text/plain"),
    "Lgsp.csproj": ("dotnet/Lgsp.csproj", "text/xml"),
}


@cache
def program(name: str) -> tuple[bytes, str] | None:
    """A file to download, and its media type; None for any other name, or where the file was not installed."""
    if name == PYTHON:
        return _python(), "application/zip"
    known = _PROGRAMS.get(name)
    if known is None or not (_FOREIGN / known[0]).is_file():
        return None
    return (_FOREIGN / known[0]).read_bytes(), known[1]


@cache
def programs() -> frozenset[str]:
    return frozenset(name for name in (*_PROGRAMS, PYTHON) if program(name) is not None)


def _python() -> bytes:
    """The sample client, and the check that uses it: they use nothing else of the gateway."""
    written, ours = io.BytesIO(), _TOP / "gateway"
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as package:
        for folder in ("", "audit/", "audit/verifier/"):
            package.writestr(zipfile.ZipInfo(f"gateway/{folder}__init__.py"), b"")
        checker = [ours / "audit" / "verifier" / f"{name}.py" for name in ("conformance", "findings")]
        for file in (*sorted((ours / "sample_client").glob("*.py")), *checker):
            package.writestr(zipfile.ZipInfo(file.relative_to(_TOP).as_posix()), file.read_bytes())
    return written.getvalue()
