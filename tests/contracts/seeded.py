"""Builds contract folders with one seeded fault each, from a base folder and a patch.

`bad/<base>/v1` is a contract without a fault. `bad/<fault>.yaml` names the base, the edits that make the fault, and
the finding that has to name it. An edit names a file and does one of these:

    replace: TEXT, with: TEXT    replaces a text that occurs once (with `line`: that occurs in this line)
    remove: TEXT                 removes the line that holds this text
    after: TEXT, insert: LINE    inserts a line after the line that holds this text
    copy: FILE                   creates the file as a copy of another one
    create: TEXT                 creates the file

Invariant: an edit that does not apply to exactly one place is refused, so a change of the base cannot undo a fault.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.base import safeyaml

BAD: Final = Path(__file__).with_name("bad")
BASE: Final = BAD / "water-level"


@dataclass(frozen=True, slots=True)
class Fault:
    base: str
    edits: tuple[dict[str, Any], ...]
    at: str
    rule: str


def names() -> list[str]:
    return sorted(path.stem for path in BAD.glob("*.yaml"))


def read(name: str) -> Fault:
    patch = safeyaml.load((BAD / f"{name}.yaml").read_bytes())
    expected = patch["expected"]
    return Fault(base=patch["base"], edits=tuple(patch["edits"]), at=expected["at"], rule=expected["rule"])


def build(name: str, target: Path) -> Path:
    """Writes the folder of this fault to `target/v1` and returns it."""
    fault = read(name)
    folder = Path(shutil.copytree(BAD / fault.base / "v1", target / "v1"))
    for edit in fault.edits:
        _apply(folder, dict(edit))
    return folder


def _apply(folder: Path, edit: dict[str, Any]) -> None:
    path = folder / edit.pop("file")
    if edit.keys() <= {"copy", "create"}:
        assert not path.exists(), path
        path.write_bytes((folder / edit["copy"]).read_bytes() if "copy" in edit else edit["create"].encode())
        return
    lines = path.read_bytes().decode().splitlines(keepends=True)
    [(key, text)] = [(key, edit[key]) for key in ("replace", "remove", "after") if key in edit]
    [at] = [at for at, line in enumerate(lines) if text in line and edit.get("line", at + 1) == at + 1]
    if key == "replace":
        assert lines[at].count(text) == 1, (path, text)
        lines[at] = lines[at].replace(text, edit["with"])
    elif key == "remove":
        del lines[at]
    else:
        lines.insert(at + 1, edit["insert"] + "\n")
    path.write_bytes("".join(lines).encode())
