"""The worked formats of `examples/formats` (docs/formats.md): each is proved, published as the next minor version of
its contract, and read by a reader of its standard that knows nothing of the table."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from lxml import etree
from sqlalchemy import Engine

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.diff.changes import Level
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.proof.check import check_bundle
from tests.registry.editions import put
from tests.registry.making import new_database

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "formats"
NAMES = sorted(each.name for each in FOLDER.iterdir())
CATALOGUE = {folder.parent.name: folder for folder in catalogue_folders()}
SHOWN = [
    (name, sample.parent.name, sample.name) for name in NAMES for sample in sorted((FOLDER / name).glob("samples/*/*"))
]
FOREIGN = [each for each in SHOWN if not each[2].endswith(".canonical.json")]


@cache
def bundle(name: str) -> Bundle:
    """A contract of its own, or the catalogue's with the files of the example and the next minor version."""
    own = {
        path.relative_to(FOLDER / name).as_posix(): path.read_bytes()
        for path in (FOLDER / name).rglob("*")
        if path.is_file()
    }
    if name not in CATALOGUE:
        return Bundle.of(own)
    files = dict(Bundle.from_folder(CATALOGUE[name]).files)
    major, minor, _ = compile_bundle(Bundle.of(files)).contract.version.split(".")
    head = files["contract.yaml"].decode()
    files["contract.yaml"] = re.sub(r"(?m)^version: .*$", f"version: {major}.{int(minor) + 1}.0", head).encode()
    assert not own.keys() & files.keys(), "an example adds files"
    return Bundle.of(files | own)


@cache
def compiled(name: str) -> CompiledContract:
    return compile_bundle(bundle(name))


@pytest.mark.parametrize("name", NAMES)
def test_each_is_proved(name: str) -> None:
    report = check_bundle(bundle(name))
    assert report.findings == []
    formats = {path.stem for path in (FOLDER / name / "systems").iterdir()}
    assert formats == {path.name for path in (FOLDER / name / "samples").iterdir()}, "each format shows a message"


def test_each_is_published_and_breaks_nothing(tmp_path: Path) -> None:
    engine: Engine = new_database(tmp_path)
    try:
        for name in NAMES:
            with engine.begin() as connection:
                if name in CATALOGUE:
                    put(connection, Bundle.from_folder(CATALOGUE[name]))
                done = put(connection, bundle(name))
            assert done.moved, name
            assert {each.level for each in done.changes} <= {Level.PATCH, Level.MINOR}, name
    finally:
        engine.dispose()


@pytest.mark.parametrize(("name", "format_name", "file"), FOREIGN)
def test_a_reader_of_the_standard_reads_the_same(name: str, format_name: str, file: str) -> None:
    """Of the sample, and of what the gateway writes of its canonical form."""
    message, codec = file.split(".")[0], compiled(name).codec(format_name)
    raw = (FOLDER / name / "samples" / format_name / file).read_bytes()
    value = codec.read(message, raw)
    written = codec.write(message, value)
    reader = READERS[f"{format_name}/{message}"]
    assert reader(raw) == reader(written) == told(value), file


def told(value: Any) -> Any:
    """The canonical value with numbers as JSON's own readers have them, and reasons for absence as None."""
    if isinstance(value, dict):
        return None if "absent" in value else {key: told(each) for key, each in value.items()}
    if isinstance(value, list):
        return [told(each) for each in value]
    return value if isinstance(value, str | bool) else float(value)


# --- readers of the standards -----------------------------------------------------------------------------------------


def number(raw: Any) -> float | None:
    return float(raw) if isinstance(raw, int | float) or re.fullmatch(r"-?[0-9]+([.][0-9]+)?", raw) else None


def picked(components: list[dict[str, Any]], positions: list[int]) -> dict[str, str]:
    """Dimensions or attributes of SDMX-JSON, each with the value at its position."""
    pairs = zip(components, positions, strict=True)
    return {component["id"]: component["values"][position]["id"] for component, position in pairs}


def sdmx_json_table(raw: bytes) -> Any:
    """All dimensions at the observation (SDMX-JSON 2.0)."""
    data = json.loads(raw)["data"]
    (structure,), (dataset,) = data["structures"], data["dataSets"]
    values = []
    for key, (value, *attributes) in dataset["observations"].items():
        found = picked(structure["dimensions"]["observation"], [int(each) for each in key.split(":")])
        found |= picked(structure["attributes"]["observation"], attributes)
        values.append(sdmx(found, value) | {"updated": found["LAST_UPDATE"]})
    return {"values": values}


def sdmx_json(raw: bytes) -> Any:
    """One observation: its dimensions and attributes by the positions that its keys give (SDMX-JSON 2.0)."""
    message = json.loads(raw)
    data = message["data"]
    structure, (dataset,) = data["structures"][0], data["dataSets"]
    ((series_key, series),) = dataset["series"].items()
    ((key, (value, *attributes)),) = series["observations"].items()
    dimensions, of = structure["dimensions"], structure["attributes"]
    found = {
        **picked(dimensions["series"], [int(each) for each in series_key.split(":")]),
        **picked(dimensions["observation"], [int(key)]),
        **picked(of["series"], series["attributes"]),
        **picked(of["observation"], attributes),
    }
    contact = message["meta"]["sender"]["contacts"][0]
    return {
        **sdmx(found, value),
        "updated": message["meta"]["prepared"],
        "responsible": {"name": contact["name"], "phone": contact["telephones"][0]},
    }


def sdmx(found: dict[str, str], value: Any) -> dict[str, Any]:
    status = {"A": "final", "P": "provisional", "E": "estimated", "M": "missing"}
    return {
        "indicator": found["INDICATOR"],
        "area": found["REF_AREA"],
        "period": found["TIME_PERIOD"],
        "frequency": found["FREQ"],
        "unit": found["UNIT_MEASURE"],
        "value": number(value),
        "status": status[found["OBS_STATUS"]],
    }


def sdmx_ml(raw: bytes) -> Any:
    """Each observation with the dimensions of its series, as attributes (structure-specific data)."""
    values = []
    for observation in etree.fromstring(raw).iterfind(".//{*}Series/{*}Obs"):
        series = observation.getparent()
        assert series is not None
        found = {str(key): str(each) for key, each in [*series.attrib.items(), *observation.attrib.items()]}
        note = {"note": found["COMMENT"]} if "COMMENT" in found else {}
        values.append(sdmx(found, found["OBS_VALUE"]) | {"updated": found["LAST_UPDATE"]} | note)
    return {"values": values}


def ngsi_ld(raw: bytes) -> Any:
    """The entities of a notification by their key values."""
    message = json.loads(raw)
    severity = {
        "informational": "Unknown",
        "low": "Minor",
        "medium": "Moderate",
        "high": "Severe",
        "critical": "Extreme",
    }
    info = []
    for entity in message["data"]:
        assert entity["type"] == "Alert" and entity["id"].startswith("urn:ngsi-ld:Alert:")
        assert {each["type"] for each in entity.values() if isinstance(each, dict)} == {"Property"}
        plain = {key: each["value"] for key, each in entity.items() if isinstance(each, dict)}
        info.append(
            {
                "web": entity["id"],
                "category": plain["category"].split(";"),
                "event": plain["subCategory"],
                "urgency": "Unknown",
                "severity": severity[plain["severity"]],
                "certainty": "Observed",
                "onset": plain["validFrom"],
                "expires": plain["validTo"],
                "description": plain["description"],
                "senderName": plain["alertSource"],
            }
        )
    return {
        "identifier": message["id"],
        "sender": message["subscriptionId"],
        "sent": message["notifiedAt"],
        "status": "Actual",
        "msgType": "Alert",
        "scope": "Public",
        "info": info,
    }


def observation(raw: bytes) -> Any:
    """The results of a MultiDatastream, each by the place of its property."""
    message = json.loads(raw)
    values = zip(("temperature", "humidity", "pressure"), message["result"], strict=False)
    return {
        "station": message["MultiDatastream"]["@iot.id"],
        "time": message["phenomenonTime"],
        **{name: None if isinstance(each, str) else float(each) for name, each in values},
    }


def multi_datastream(raw: bytes) -> Any:
    message = json.loads(raw)
    assert message["observationType"].endswith("/OM_ComplexObservation")
    assert len(message["unitOfMeasurements"]) == len(message["ObservedProperties"])
    return {
        "name": message["name"],
        "description": message["description"],
        "thing": message["Thing"]["@iot.id"],
        "units": message["unitOfMeasurements"],
        "properties": message["ObservedProperties"],
    }


def georeport_json(raw: bytes) -> Any:
    message = json.loads(raw)
    found: dict[str, Any] = {
        key: each if isinstance(each, str | dict) else float(each) for key, each in message.items()
    }
    found["area"] = found.pop("jurisdiction_id")
    found["attribute"] = [{"code": code, "value": value} for code, value in found["attribute"].items()]
    return found


def georeport_xml(raw: bytes) -> Any:
    found = {str(each.tag): each.text for each in etree.fromstring(raw)}
    names = {"jurisdiction_id": "area", "address": "address_string"}
    return {names.get(key, key): float(each or "") if key in ("lat", "long") else each for key, each in found.items()}


def georeport_form(raw: bytes) -> Any:
    """The fields of a form, as the standard library of Python reads them."""
    found: dict[str, Any] = dict(parse_qsl(raw.decode(), strict_parsing=True))
    further = [(key, found.pop(key)) for key in list(found) if key.startswith("attribute[")]
    found |= {"area": found.pop("jurisdiction_id"), "lat": float(found["lat"]), "long": float(found["long"])}
    return found | {"attribute": [{"code": key[10:-1], "value": value} for key, value in further]}


def taken_json(raw: bytes) -> Any:
    (one,) = json.loads(raw)
    return {key: each for key, each in one.items() if each is not None} | {"status": "open"}


def taken_xml(raw: bytes) -> Any:
    (one,) = etree.fromstring(raw)
    return {str(each.tag): each.text for each in one if each.text} | {"status": "open"}


READERS: dict[str, Callable[[bytes], Any]] = {
    "sdmx-json/IndicatorValue": sdmx_json,
    "sdmx-json/IndicatorValues": sdmx_json_table,
    "sdmx-ml-series/IndicatorValues": sdmx_ml,
    "ngsi-ld/Alert": ngsi_ld,
    "sensorthings-multi/StationReading": observation,
    "sensorthings-multi/Station": multi_datastream,
    "georeport-json/ServiceRequest": georeport_json,
    "georeport-json/ServiceRequestReceived": taken_json,
    "georeport-form/ServiceRequest": georeport_form,
    "georeport-form/ServiceRequestReceived": taken_json,
    "georeport-xml/ServiceRequest": georeport_xml,
    "georeport-xml/ServiceRequestReceived": taken_xml,
}
