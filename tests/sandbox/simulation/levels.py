"""A contract of the tests' own: stations tell their water level, and are asked for it."""

from __future__ import annotations

import json

from contracts.folder.bundle import Bundle

CONTRACT = """
id: water-level
version: 1.0.0
title: {vi: Mực nước hồ chứa, en: Water level of reservoirs}
description: {vi: Mực nước do trạm báo., en: Levels that stations tell.}
owner_role: department
legal_basis: [Luật Tài nguyên nước số 28/2023/QH15]
operations:
  tellLevel:
    pattern: dispatch
    method: POST
    path: /levels
    request: Level
    answer: LevelTaken
    idempotent: true
    key: station
    title: {vi: Báo mực nước, en: Tell a level}
  askLevel:
    pattern: query
    method: GET
    path: /levels
    request: LevelQuery
    answer: Level
    idempotent: true
    title: {vi: Hỏi mực nước, en: Ask for a level}
protection: signed
retention_months: 12
"""
TEXT = {"type": "string", "minLength": 1, "maxLength": 60}
STATION = {"type": "string", "pattern": "^HC-[0-9]{3}$", "title": "Trạm"}


def of(**properties: object) -> dict[str, object]:
    return {"type": "object", "additionalProperties": False, "required": list(properties), "properties": properties}


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:lgsp:contract:water-level:v1",
    "$defs": {
        "Level": of(station=STATION, metres={"type": "number", "minimum": 0, "maximum": 400}, note=TEXT),
        "LevelTaken": of(number=TEXT),
        "LevelQuery": of(station=STATION),
    },
}


def bundle() -> Bundle:
    return Bundle.of({"contract.yaml": CONTRACT.encode(), "schema.json": json.dumps(SCHEMA).encode()})
