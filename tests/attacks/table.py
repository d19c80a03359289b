"""The table of attacks: which kind is tried by which named case. `./lgsp docs` writes it to docs/attacks.md.

Made from the tests themselves, from their mark `attack(kind)` and the names of their cases, so that it cannot say more
than there is.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "attacks.md"
HEAD = """# Attacks, and the test for each

Made from the tests by `./lgsp docs`; do not edit. A case of a test that takes the fixture `judge` is sent to a real
door over TLS. The door refuses it with the code that the test names. No provider receives it: the test compares their
journals. The audit log has an entry with that code, unless the case is no HTTP or ends in the handshake. Every other
test says what it checks. [security.md](security.md) says what the gateway promises.
"""


class Collected:
    """A plugin that keeps what pytest found."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = list(session.items)


def page() -> str:
    found = Collected()
    with contextlib.redirect_stdout(io.StringIO()):
        options = ["--collect-only", "-q", "-p", "no:cacheprovider", "-n", "0", "-o", "addopts=--import-mode=importlib"]
        code = pytest.main([*options, str(ROOT / "tests" / "attacks")], plugins=[found])
    assert code == 0, code
    kinds: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for item in found.items:
        for mark in item.iter_markers("attack"):
            name, _, case = item.name.partition("[")
            kinds[mark.args[0]][f"{item.path.name}::{name}"].append(case.removesuffix("]"))
    number = sum(len(cases) for tests in kinds.values() for cases in tests.values())
    lines = [HEAD, f"{number} cases of {len(kinds)} kinds.", ""]
    for kind in sorted(kinds, key=lambda kind: (kind.lower(), kind)):
        tests = kinds[kind]
        lines += [f"## {kind}", "", "| test | cases |", "|---|---|"]
        for test in sorted(tests):
            named = [case.replace("|", "\\|").replace("\n", " ")[:80] for case in tests[test] if case]
            lines.append(f"| `{test}` | {len(tests[test])}{': ' if named else ''}{'; '.join(named)} |")
        lines.append("")
    return "\n".join(lines)
