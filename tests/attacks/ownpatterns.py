"""Every regular expression of the packages, found in their sources, with the methods that it is used by."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("contracts", "security", "adapters", "gateway", "examples", "bench")
_RUNS: Final = frozenset({"match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"})


@dataclass
class Site:
    """A place where a regular expression is written. `constant` is the name that the module keeps it by, if it does."""

    module: str
    within: str
    constant: str | None
    literal: str | bytes | None
    flags: str
    methods: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        return f"{self.module}:{self.within}"

    def pattern(self) -> re.Pattern[Any] | None:
        """None where only running code makes it."""
        if self.constant is not None:
            kept = getattr(importlib.import_module(self.module), self.constant)
            if isinstance(kept, re.Pattern):
                return kept
        if self.literal is None:
            return None
        return re.compile(self.literal, eval(self.flags, {"re": re}))


def trees() -> dict[str, ast.Module]:
    """The sources by the names of their modules. Two million objects: not to be kept for long."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text("utf-8"))
    return found


def sites(sources: Mapping[str, ast.Module]) -> list[Site]:
    found: list[Site] = []
    for module, tree in sources.items():
        for statement in tree.body:
            found += _in(module, statement)
    kept = {(site.module, site.constant): site for site in found if site.constant}
    for module, tree in sources.items():
        here = {name: site for (where, name), site in kept.items() if where == module and name is not None}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                here |= {
                    alias.asname or alias.name: kept[node.module, alias.name]
                    for alias in node.names
                    if (node.module, alias.name) in kept
                }
        _uses(tree, here)
    return found


def odd_imports(sources: Mapping[str, ast.Module]) -> list[str]:
    """Modules that come by regular expressions in a way that `sites` does not see."""
    odd = []
    for module, tree in sources.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in ("re", "regex"):
                odd.append(module)
            if isinstance(node, ast.Import) and any(
                a.name in ("regex", "re2") or a.name == "re" and a.asname for a in node.names
            ):
                odd.append(module)
    return odd


def _in(module: str, statement: ast.stmt) -> Iterator[Site]:
    within, constant = getattr(statement, "name", "module"), None
    if isinstance(statement, ast.AnnAssign | ast.Assign):
        target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
        within = ast.unparse(target)
        constant = within if isinstance(target, ast.Name) else None
    for node in ast.walk(statement):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if (
            not isinstance(node.func.value, ast.Name)
            or node.func.value.id != "re"
            or node.func.attr not in _RUNS | {"compile"}
        ):
            continue
        given = node.args[0]
        literal = given.value if isinstance(given, ast.Constant) and isinstance(given.value, str | bytes) else None
        compiled = node.func.attr == "compile"
        flags = next(
            (each.value for each in node.keywords if each.arg == "flags"),
            node.args[1] if compiled and len(node.args) > 1 else None,
        )
        direct = isinstance(statement, ast.AnnAssign | ast.Assign) and statement.value is node
        site = Site(module, within, constant if direct else None, literal, "0" if flags is None else ast.unparse(flags))
        if not compiled:
            site.methods.add(node.func.attr)
        yield site


def _uses(tree: ast.Module, here: dict[str, Site]) -> None:
    """A method that is called, or a pattern that is handed on: whoever gets it may match it in either way."""
    asked = {id(node.value): node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in here:
            method = asked.get(id(node))
            if method is None:
                here[node.id].methods |= {"fullmatch", "match"}
            elif method in _RUNS:
                here[node.id].methods.add(method)
