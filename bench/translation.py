"""Measures translation: twenty readings both ways against zeep, and a document with large files in little memory.

JSON -> canonical -> XML -> canonical -> JSON; the XML follows the contract's own XSD. zeep does the same from the
contract's own WSDL, in the same process, in turn. It checks less: no lengths, patterns or ranges. The memory is that
of a process of its own. Invariant: each side returns the message that it got, or there is no measure.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.process import memory_mib
from bench.rows import Row, row
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.compiled.streaming import LargeForm, read_large, write_large
from contracts.faces.wsdl import wsdl
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.wire.attachments import Spool
from contracts.wire.soap import parse_xml

READINGS: Final = 20
ROUNDS: Final = 7
MEGABYTE: Final = 1_000_000
_MESSAGE: Final = json.dumps(
    {
        "Datastream": {"id": "mua-tra-linh"},
        "readings": [
            {"phenomenonTime": f"2026-11-24T{n:02}:00:00.000Z", "result": n * 7919 % 1000 / 10} for n in range(READINGS)
        ],
    },
    separators=(",", ":"),
).encode()


def contract(name: str) -> CompiledContract:
    return compile_bundle(
        Bundle.from_folder(next(folder for folder in catalogue_folders() if folder.parent.name == name))
    )


def ours(compiled: CompiledContract) -> Callable[[], bytes]:
    codec = compiled.codec("canonical")

    def translate() -> bytes:
        xml = codec.write_xml("Readings", codec.read_json("Readings", _MESSAGE), "submitReadings")
        return codec.write_json("Readings", codec.read_xml("Readings", parse_xml(xml)))

    return translate


def by_zeep(compiled: CompiledContract) -> Callable[[], bytes]:
    import zeep
    from lxml import etree

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "observation.wsdl"
        file.write_bytes(wsdl(compiled, "https://localhost/soap/observation/v1"))
        client = zeep.Client(str(file))
    element = client.get_element(f"{{{compiled.namespace}}}submitReadings")

    def one(reading: Any) -> dict[str, Any]:
        at = reading.phenomenonTime.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"phenomenonTime": at, "result": float(reading.result._value_1)}

    def translate() -> bytes:
        message = json.loads(_MESSAGE)
        for reading in message["readings"]:
            reading["phenomenonTime"] = datetime.fromisoformat(reading["phenomenonTime"])
        parent = etree.Element("body")
        element.render(parent, element(**message))
        read = element.parse(etree.fromstring(etree.tostring(parent[0])), client.wsdl.types)
        data = {"Datastream": {"id": read.Datastream.id}, "readings": [one(each) for each in read.readings]}
        return json.dumps(data, separators=(",", ":")).encode()

    return translate


def per_second(translate: Callable[[], object], count: int) -> float:
    """Per second of processor time: nothing here waits, and other load must not count."""
    started = time.process_time()
    for _ in range(count):
        translate()
    return count / (time.process_time() - started)


def measure(quick: bool, say: Callable[[str], None]) -> list[Row]:
    compiled = contract("observation")
    sides = {"ours": (ours(compiled), 1000), "zeep": (by_zeep(compiled), 100)}
    for name, (translate, _) in sides.items():
        if json.loads(translate()) != json.loads(_MESSAGE):
            raise RuntimeError(f"{name}: not the message that went in: {translate()[:300]!r}")
    factor = 1 if quick else 5
    gc.collect()
    gc.freeze()  # else each collection goes through what other measures left in this process
    try:
        rates = [
            {name: per_second(translate, count * factor) for name, (translate, count) in sides.items()}
            for _ in range(ROUNDS)
        ]
    finally:
        gc.unfreeze()
    say(f"translation: {rates[-1]['ours']:,.0f}/s, zeep {rates[-1]['zeep']:,.0f}/s")
    readings = row(
        "translation-20-readings", "messages/s", [each["ours"] for each in rates],
        {"zeep": [each["zeep"] for each in rates]},
        {"zeep_per_second": sorted(each["zeep"] for each in rates)[ROUNDS // 2]},
    )  # fmt: skip
    size = 50
    done = subprocess.run([sys.executable, "-m", __name__, str(size)], capture_output=True, text=True, check=True)
    above = float(done.stdout)
    say(f"a document with {size} MB of files: {above:.0f} MiB above rest")
    return [readings, row(f"translation-{size}-mb-of-files", "MiB above rest", [above], {}, {})]


def memory_of(megabytes: int) -> float:
    """MiB that this process grows by while it converts a document from edXML to canonical JSON and back.

    Its files have so many megabytes.
    """
    compiled = contract("official-document")
    sample = next(
        each
        for each in compiled.samples
        if (each.format, each.message) == ("edxml", "Document") and b"attachments" in each.canonical
    )
    compiled.codec("edxml").read_xml("Document", parse_xml(sample.raw))
    value = json.loads(sample.canonical)
    value["attachments"][0]["data"] = "QUJD"
    head, tail = compiled.codec("edxml").write_xml("Document", value).split(b"QUJD")
    with (
        tempfile.TemporaryFile() as source,
        tempfile.TemporaryFile() as onward,
        tempfile.TemporaryFile() as first,
        tempfile.TemporaryFile() as second,
    ):
        source.write(head)
        for number in range(megabytes):
            source.write(b64encode(bytes([number & 255, 7, 77]) * (MEGABYTE // 3)))
        source.write(tail)
        rest = _peak()
        one, two = Spool(first), Spool(second)
        read = read_large(LargeForm(compiled, "edxml"), "Document", source, one)
        for piece in write_large(LargeForm(compiled, "canonical"), "Document", read, one):
            onward.write(piece)
        back = read_large(LargeForm(compiled, "canonical"), "Document", onward, two)
        source.seek(0)
        for piece in write_large(LargeForm(compiled, "edxml"), "Document", back, two):
            if source.read(len(piece)) != piece:
                raise RuntimeError("not the document that went in")
        return _peak() - rest


def _peak() -> float:
    return memory_mib(os.getpid(), "VmHWM")  # getrusage would include the parent's maximum


if __name__ == "__main__":
    print(memory_of(int(sys.argv[1])))
