"""What a command says when it fails, read from its code: what happened and what to do next, each in English and in
Vietnamese; one exit code a code.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VIETNAMESE = re.compile("[àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ]", re.IGNORECASE)
FILES = sorted((ROOT / "gateway/cli").rglob("*.py"))


HANDED_ON = (
    "failed",
    "content",
    "_usage",
    "_unclear",
    "tell",
)  # say what they are given: a failure's words, or those of their callers


def calls() -> Iterator[tuple[str, list[str], str, str, str]]:
    """Where, exit codes, code, what, next of every `fail(...)`; `{}` stands for what is filled in."""
    for path in FILES:
        module = ast.parse(path.read_text("utf-8"))
        functions = [
            each for each in ast.walk(module) if isinstance(each, ast.FunctionDef) and each.name not in HANDED_ON
        ]
        for function in functions:
            for node in ast.walk(function):
                if not isinstance(node, ast.Call):
                    continue
                called = ast.unparse(node.func)
                if called == "fail":
                    code, name, what, then = node.args[:4]
                    ends = re.findall(
                        r"Exit\.(\w+)", " ".join(map(ast.unparse, [code, *_assigned(code, function, module)]))
                    )
                elif called == "_usage":
                    ends, (name, what, then) = ["USAGE"], node.args[:3]
                elif called == "_unclear":
                    ends, name, what, then = (
                        ["USAGE"],
                        ast.Constant("reconciliation.invalid"),
                        node.args[1],
                        ast.Name("_COLUMNS", lineno=node.lineno),
                    )
                elif called in ("arguments.content", "private_key"):
                    ends, name, what, then = (
                        ["USAGE"],
                        ast.Constant("no-file"),
                        ast.Constant("ở / at arguments.content"),
                        node.args[1],
                    )
                else:
                    continue
                code_text, what_text, then_text = (_text(each, function, module) for each in (name, what, then))
                yield f"{path.name}:{node.lineno}", ends, code_text, what_text, then_text


def _assigned(node: ast.expr, function: ast.FunctionDef, module: ast.Module) -> list[ast.expr]:
    """All that a name is set to in its function, the nearest before it first; else in its module."""
    if not isinstance(node, ast.Name):
        return []
    for within in (ast.walk(function), module.body):
        found = [each for each in within if isinstance(each, (ast.Assign, ast.AnnAssign))]
        named = [
            (each.lineno, each.value)
            for each in found
            if each.value and node.id == ast.unparse(each.targets[0] if isinstance(each, ast.Assign) else each.target)
        ]
        if named:
            return [value for _, value in sorted(named, key=lambda each: (each[0] > node.lineno, -each[0]))]
    return []


def _text(node: ast.expr, function: ast.FunctionDef, module: ast.Module) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            _text(each.value if isinstance(each, ast.FormattedValue) else each, function, module)
            for each in node.values
        )
    if isinstance(node, ast.IfExp):
        return f"{_text(node.body, function, module)}{_text(node.orelse, function, module)}"
    return next((_text(each, function, module) for each in _assigned(node, function, module)), "{}")


def test_every_error_speaks_both_languages() -> None:
    wrong = []
    seen = 0
    for where, _, name, what, then in calls():
        seen += 1
        for part in (what, then):
            if part == "{} / {}":  # the words of a failure, in both languages
                continue
            if part.count(" / ") < 1 or not VIETNAMESE.search(part):
                wrong.append(f"{where} [{name}]: {part}")
    assert seen > 60
    assert not wrong, "\n" + "\n".join(wrong)


def test_one_code_has_one_exit_code() -> None:
    ends: defaultdict[str, set[str]] = defaultdict(set)
    for _, found, name, _, _ in calls():
        if "{}" not in name:
            ends[name] |= set(found)
    assert not {name: found for name, found in ends.items() if len(found) > 1 and name != "not-written"}
