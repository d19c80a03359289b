"""The services of GeoReport v2: the kinds of field-report/v1, from the code tables that the gateway publishes.

Each service has metadata: GeoReport has no field for the commune, by which the gateway routes, so it is the required
attribute `area`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from contracts.base.words import Language
from gateway.agent.directory import Directory
from gateway.agent.errors import AGENT_UNREACHABLE
from gateway.agent.open311.forms import AREA
from gateway.agent.open311.written import Value

CONTRACT: Final = "field-report/v1"
_CODES: Final = f"/contracts/{CONTRACT}/codes.json"
_FRESH: Final = 300.0
_KINDS: Final = "service-code"
_AREAS: Final = "area"
_HERE: Final = timedelta(hours=7)  # codes are in force by the day in Vietnam
_ASKED: Final = {"vi": "Xã, phường nơi xảy ra", "en": "Commune where it is"}
_LIST: Final = {"vi": "Chọn một", "en": "Choose one"}


class ServiceList:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._tables: Mapping[str, list[Mapping[str, str]]] = {}
        self._read = -_FRESH

    async def names(self, language: Language) -> dict[str, str]:
        """Code of each kind in force -> its name."""
        return _in_force((await self._codes())[_KINDS], language)

    async def listed(self, language: Language) -> list[Value]:
        return [
            {
                "service_code": code,
                "service_name": name,
                "description": name,
                "metadata": True,
                "type": "realtime",
                "keywords": "",
                "group": "",
            }
            for code, name in (await self.names(language)).items()
        ]

    async def definition(self, code: str, language: Language) -> Value:
        """None for a code that is no service."""
        tables = await self._codes()
        if code not in _in_force(tables[_KINDS], language):
            return None
        areas: list[Value] = [{"key": key, "name": name} for key, name in _in_force(tables[_AREAS], language).items()]
        attribute: dict[str, Value] = {
            "variable": True,
            "code": AREA,
            "datatype": "singlevaluelist",
            "required": True,
            "datatype_description": _LIST[language],
            "order": 1,
            "description": _ASKED[language],
            "values": areas,
        }
        return {"service_code": code, "attributes": [attribute]}

    async def _codes(self) -> Mapping[str, list[Mapping[str, str]]]:
        if time.monotonic() - self._read > _FRESH:
            document = await self._directory.document(_CODES)
            if document is None:
                raise AGENT_UNREACHABLE(reason=_CODES, retry_after=30)
            tables: dict[str, Any] = json.loads(document)
            self._tables, self._read = tables, time.monotonic()
        return self._tables


def _in_force(rows: list[Mapping[str, str]], language: Language) -> dict[str, str]:
    today = (datetime.now(UTC) + _HERE).date().isoformat()
    return {
        row["code"]: row[language]
        for row in rows
        if row.get("valid_from", "") <= today <= row.get("valid_until", "9999-12-31")
    }
