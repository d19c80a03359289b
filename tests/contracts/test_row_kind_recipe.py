"""The recipe of `CONTRIBUTING.md` for a kind of mapping row is true: two files in a copy of `contracts/`, and it is
proved."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = Path("contracts/mapping/rows/kinds")
KIND = '''"""`{canonical: …, here: …, prefix: "VN-"}`: a text that the format writes after a fixed prefix."""

from contracts.canonical.findings import filled, kind_of
from contracts.mapping.plan import CustomBinding
from contracts.mapping.rows.builder import custom_leaf
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.parts import plain


def _read(builder, row):
    canonical, here, prefix = row.canonical, row.here, row.words["prefix"]
    place, scalar = builder.bind(canonical, row)
    inner = plain(builder.leaf(row, canonical, place, scalar))

    def read(raw, into, index, problems, where):
        if not isinstance(raw, str) or not raw.startswith(prefix):
            problems.add(where(), filled(canonical, index, 0), kind_of(raw), "format", f"a text after {prefix!r}")
            return
        inner.read(raw.removeprefix(prefix), into, index, problems, where)

    def write(frame):
        raw = inner.write(frame)
        return None if raw is None else prefix + raw

    leaf = custom_leaf(CustomBinding(read, write, inner.leaves), canonical, here, row.words)
    builder.tree.place(here, canonical, leaf, row.at, row.condition)


KIND = RowKind(words=frozenset({"prefix"}), fits=lambda builder, row: "prefix" in row.words, read=_read, is_part=True)
'''
PROVE = """
from pathlib import Path
from contracts.proof.check import check
report = check(Path("catalogue/field-report/v1"))
assert report.ok, report.findings
"""


def test_a_kind_of_row_is_two_files(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "contracts", tmp_path / "contracts", ignore=shutil.ignore_patterns("__pycache__", "catalogue")
    )
    (tmp_path / KINDS / "prefixed.py").write_text(KIND, "utf-8")
    registry = tmp_path / KINDS / "__init__.py"
    text = registry.read_text("utf-8").replace(" join,", " join, prefixed,")
    registry.write_text(text.replace("    field.KIND,", "    prefixed.KIND,\n    field.KIND,"), "utf-8")

    catalogue = tmp_path / "catalogue"
    for name in ("_codes", "field-report"):
        shutil.copytree(ROOT / "contracts" / "catalogue" / name, catalogue / name)
    table = catalogue / "field-report" / "v1" / "systems" / "do-thi-xml.yaml"
    row = "{canonical: description, here: dt:NoiDung}"
    assert row in table.read_text("utf-8")
    table.write_text(table.read_text("utf-8").replace(row, row[:-1] + ', prefix: "ND: "}'), "utf-8")
    for sample in table.parent.parent.glob("samples/do-thi-xml/ServiceRequest.*.xml"):
        sample.write_text(sample.read_text("utf-8").replace("<dt:NoiDung>", "<dt:NoiDung>ND: "), "utf-8")

    done = subprocess.run(
        [sys.executable, "-c", PROVE],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
