"""`lgsp bench`: the secured exchange against the plain stack of the same packages."""

from __future__ import annotations

import importlib

from gateway.cli.common.output import emit


def bench(as_json: bool, quick: bool) -> None:
    # The bench stands above the gateway; it is looked up by name, so that no room below imports it.
    result = importlib.import_module("bench").run(quick)
    lines = [
        f"{row['name']}: {row['median']:g} {row['unit']} (± {row['spread']:g})"
        + "".join(f", {ratio:.2f} × {name}" for name, ratio in row["against"].items())
        for row in result["rows"]
    ]
    emit(result, as_json, "\n".join(lines))
