"""The tests mirror the packages: where a package is, its tests are found by its name."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
# Folders named after what they try, across packages.
ACROSS = {
    "attacks": "hostile senders, insiders, gateways and files",
    "browser": "pages of the console in a real browser",
    "conformance": "a provider and a caller with seeded faults, written from the documents alone",
    "edge": "an instance behind reverse proxies",
    "obligations": "articles of the founding regulation",
    "faults": "processes killed, disks full, power gone",
    "project": "the tree, the commands' texts, the generated pages",
    "upgrade": "programs of older releases, and of this one, on one instance",
    "story": "the demo's story and the doors of a running instance",
}
DIRECT = (
    "adapters",
    "contracts",
    "security",
    "examples",
)  # of these the whole path is the name; of others, that below gateway/


def _folders() -> list[Path]:
    modules = (path for path in TESTS.rglob("*.py") if "__pycache__" not in path.parts)
    return sorted({path.parent.relative_to(TESTS) for path in modules} - {Path()})


def test_each_folder_is_named_after_a_package_or_is_one_of_the_few_across_them() -> None:
    folders = _folders()
    astray = [
        str(folder)
        for folder in folders
        if folder.parts[0] not in ACROSS
        and not (ROOT / ("" if folder.parts[0] in DIRECT else "gateway") / folder).is_dir()
    ]
    assert not astray
    assert len(folders) > 50 and ACROSS.keys() <= {folder.parts[0] for folder in folders}, "no name that nothing bears"


def test_every_package_of_the_product_has_tests() -> None:
    names = {folder.parts[0] for folder in _folders()}
    packages = {path.parent.name for path in (ROOT / "gateway").glob("*/__init__.py")}
    assert packages - names <= {"commands"}, "demo and bench are tried by tests/story and tests/project"


def test_what_is_named_as_a_proof_is_there() -> None:
    """Every path below tests/ that a page, a docstring or a comment names."""
    named = re.compile(r"(?<![\w/-])tests/[\w./*-]*[\w*]")
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for package in ("gateway", "adapters", "contracts", "security", "examples", "bench", "tests", "deploy"):
        pages += [*(ROOT / package).rglob("*.py"), *(ROOT / package).rglob("*.md")]
    missing = {
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages
        for name in named.findall(page.read_text("utf-8"))
        if not any(ROOT.glob(name))
    }
    assert not missing
