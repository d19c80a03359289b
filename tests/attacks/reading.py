"""The table of readers of bytes and texts by strangers, and how to enter one.

A file `tests/attacks/readers_*.py` is found by itself. What a table function yields are attempts: a name, what reads,
and what makes an input of `n` units; each is held to linear cost (`growing.check_growth`). A function that reads in one
of `PACKAGES` and is in no table fails a test.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = (
    "contracts",
    "security",
    "gateway.client",
    "gateway.agent",
    "gateway.doors",
    "gateway.feeds.cursor",
    "gateway.sample_client",
)
_NAMED: Final = re.compile(
    r"(from|parse|read|split|decode|decoded|decrypt|open|import|verify|lift|load|unseal|unbase64|unb64|form_c|joined|answered|quorum|cosignatures)"
    r"(_.*)?"
)
_BYTES: Final = re.compile(r"\bbytes\b|BinaryIO|\bFile\b")


@dataclass(frozen=True)
class Try:
    """`read(make(n))` for growing n; `largest` where more is refused anyway, or would only be slow."""

    name: str
    read: Callable[[Any], object]
    make: Callable[[int], Any]
    largest: int = 1_000_000


Table = Callable[[], Iterable[Try]]
TABLES: Final[dict[str, Table]] = {}  # by the first reader that a table tries
COVERED: Final[set[str]] = set()


def reader(*names: str) -> Callable[[Table], Table]:
    """Enters the tries of some readers, named `module:function` or `module:Class.method`."""

    def enter(table: Table) -> Table:
        TABLES[names[0]] = table
        COVERED.update(names)
        return table

    return enter


def gather() -> None:
    for path in sorted(Path(__file__).parent.glob("readers_*.py")):
        importlib.import_module(f"tests.attacks.{path.stem}")


def found(sources: Mapping[str, ast.Module]) -> set[str]:
    """Public functions that take bytes, and functions and methods that are named as readers are."""
    readers: set[str] = set()
    for module, tree in sources.items():
        if not any(module == each or module.startswith(each + ".") for each in PACKAGES):
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if not node.name.startswith("_") and (
                    _NAMED.fullmatch(node.name) and node.args.args or _takes_bytes(node)
                ):
                    readers.add(f"{module}:{node.name}")
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                readers |= {
                    f"{module}:{node.name}.{each.name}"
                    for each in node.body
                    if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
                    and _NAMED.fullmatch(each.name)
                    and len(each.args.args) > 1
                }
    return readers


def _takes_bytes(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return any(each.annotation is not None and _BYTES.search(ast.unparse(each.annotation)) for each in given)
