"""The recipes of CONTRIBUTING.md: a copy of the tree is changed in the named files only, and uses what is new."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests" / "project" / "recipes"
PACKAGES = ("gateway", "adapters", "security", "contracts", "openapi")
P384_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
ALGORITHM = f"""    Algorithm(
        name="ecdsa-p384-sha384",
        http=_ecdsa({P384_ORDER:#x}, hashes.SHA384()),
        jose=("ES384", _ecdsa({P384_ORDER:#x}, hashes.SHA384())),
        xml=None,
        takes=partial(_on_curve, ec.SECP384R1),
        key_words="EC P-384",
        new_keys={{"P-384": partial(ec.generate_private_key, ec.SECP384R1())}},
        certificate_digest=hashes.SHA384,
    ),
"""

FIELD = """    bundle: Annotated[
        str | None, Field("Digest of the contract's bundle.", _anywhere("bundle"), word)
    ] = None
"""
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("log_index", sa.Column("bundle", sa.Integer))
    op.create_index("log_index_bundle", "log_index", ["bundle", "idx"])
    op.execute("DELETE FROM log_indexed")
"""

Edit = Callable[[str], str]


def named_files(title: str) -> list[str]:
    """The files that the numbered items of a recipe name before their colons, in order."""
    sections = re.split(r"^### ", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), flags=re.MULTILINE)
    (recipe,) = (each for each in sections if each.startswith(f"{title}\n"))
    items = re.findall(r"^\d+\. .*(?:\n {3}.*)*", recipe, re.MULTILINE)
    paths = [
        code or link for item in items for code, link in re.findall(r"`([\w./]+)`|\]\(([\w./]+)\)", item.split(":")[0])
    ]
    return [path for path in paths if "/" in path and "." in path.rpartition("/")[2]]


def whole(name: str) -> Edit:
    return lambda _: (SOURCES / name).read_text("utf-8")


def put(before: str, text: str) -> Edit:
    """Puts a text in front of another one, which the file has once."""

    def edit(old: str) -> str:
        assert old.count(before) == 1, before
        return old.replace(before, text + before)

    return edit


def both(first: Edit, second: Edit) -> Edit:
    return lambda text: second(first(text))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    copy = tmp_path / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package)  # with what is compiled already
    for package in ("examples", "tests"):
        (copy / package).symlink_to(ROOT / package)
    return copy


def follow(tree: Path, title: str, edits: Mapping[str, Edit]) -> None:
    """Edits what the recipe names; its documents are edited by people, and only have to be there."""
    named = named_files(title)
    assert [name for name in named if name.endswith(".py")] == list(edits)
    assert all((ROOT / name).is_file() for name in named if name.endswith(".md"))
    for name, edit in edits.items():
        file = tree / name.replace("KIND", "line").replace("TASK", "counting").replace("NNNN_NAME", "9999_bundle")
        file.write_text(edit(file.read_text("utf-8") if file.exists() else ""), "utf-8")


def use(tree: Path, script: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", f"tests.project.recipes.{script}", str(folder)],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_kind_of_adapter(tree: Path, tmp_path: Path) -> None:
    register = both(
        put(
            "FILES: Final =", "def _line() -> MakeAdapter:\n    from adapters import line\n\n    return line.make\n\n\n"
        ),
        put('    AdapterKind("rest"', '    AdapterKind("line", _line, scheme="tcp"),\n'),
    )
    follow(tree, "A kind of adapter", {"adapters/KIND.py": whole("line_adapter.py"), "adapters/kinds.py": register})
    use(tree, "use_adapter", tmp_path)


def test_a_signature_algorithm(tree: Path, tmp_path: Path) -> None:
    declare = both(put('"Ed25519", "RSA-3072"', '"P-384", '), put("    Algorithm(\n        name=ED25519,", ALGORITHM))
    follow(tree, "A signature algorithm", {"security/algorithms.py": declare})
    use(tree, "use_algorithm", tmp_path)


@pytest.mark.server
def test_a_task_of_the_keeper(tree: Path, tmp_path: Path) -> None:
    follow(tree, "A task of the keeper", {"gateway/keeper/tasks/TASK.py": whole("counting_task.py")})
    use(tree, "use_task", tmp_path)


def test_a_field_of_the_audit_search(tree: Path, tmp_path: Path) -> None:
    """The log is written and indexed before the change."""
    use(ROOT, "use_field", tmp_path)
    head = max(each.name[:4] for each in (ROOT / "gateway/journal/migrations/versions").glob("[0-9]*.py"))
    edits = {
        "gateway/audit/search/fields.py": put("    transfer: Annotated[", FIELD),
        "gateway/journal/schema/tables.py": put(")\nLOG_INDEXED =", '    Column("bundle", Integer),\n'),
        "gateway/journal/migrations/versions/NNNN_NAME.py": lambda _: MIGRATION.format(head=head),
    }
    follow(tree, "A field of the audit search", edits)
    use(tree, "use_field", tmp_path)
