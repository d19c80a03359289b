"""The forms in which figures leave: JSON of our own, and SDMX for statistical software."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import write_json
from gateway.indicators import sdmx
from gateway.indicators.figures import Figure, State

JSON: Final = "json"
MEDIA: Final = {
    JSON: "application/json",
    "sdmx-json": "application/vnd.sdmx.data+json;version=2.0.0",
    "sdmx-csv": "application/vnd.sdmx.data+csv;version=2.0.0",
}


def written(
    figures: Sequence[Figure], form: str, contract: CompiledContract, sender: str, now: float
) -> tuple[bytes, str]:
    """The body and its media type. `sender` is the name of the centre."""
    if form == "sdmx-csv":
        return sdmx.write_csv(figures), MEDIA[form]
    if form == "sdmx-json":
        return sdmx.write_message(figures, contract, sender, now), MEDIA[form]
    return write_json(told(figures)), MEDIA[JSON]


def told(figures: Sequence[Figure]) -> dict[str, Any]:
    """The figures with the definitions that they were expected by."""
    definitions = {(each.definition.code, each.definition.version): each.definition for each in figures}
    return {
        "definitions": [{"version": each.version, **each.json()} for _, each in sorted(definitions.items())],
        "figures": [each.json() for each in figures],
    }


def in_states(figures: Sequence[Figure], states: str | None) -> list[Figure]:
    """Those in one of the states, which are separated by commas; all of them without."""
    wanted = {State(each) for each in states.split(",")} if states else set(State)
    return [each for each in figures if each.state in wanted]
