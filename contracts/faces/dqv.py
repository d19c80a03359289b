"""Quality of a data set in the Data Quality Vocabulary (W3C, 2016): counts of what came in, each with its computation.

Invariant: a figure names what it counts, in which entries of the audit log, and of which time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.base.words import Words, WordsFile
from contracts.faces.rdf import Node

_words = WordsFile(__file__)
# The figures and their dimension. Each is a number of entries of the log with one outcome.
METRICS: Final[Mapping[str, str]] = {
    "accepted": "validity",
    "refused": "validity",
    "failed": "availability",
    "repeated": "uniqueness",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures by metric, from the entries `first` to `last` of the log, sequenced from `begins` to `ends`."""

    values: Mapping[str, int]
    first: int
    last: int
    begins: str
    ends: str

    @property
    def counted(self) -> Words:
        """Which entries were counted."""
        return _words("quality.entries", first=self.first, last=self.last)


def metric(name: str) -> Words:
    return _words(f"metric.{name}")


def computation(name: str) -> Words:
    return _words(f"metric.{name}.how")


def measurements(measured: Measured, dataset: str) -> Node:
    """The measurements of a data set."""
    return {
        "dqv:hasQualityMeasurement": [
            {
                "@type": "dqv:QualityMeasurement",
                "dqv:computedOn": {"@id": dataset},
                "dqv:isMeasurementOf": _metric(name),
                "dqv:value": {"@value": str(measured.values[name]), "@type": "xsd:integer"},
                "dct:temporal": {
                    "@type": "dct:PeriodOfTime",
                    "dcat:startDate": {"@value": measured.begins, "@type": "xsd:dateTime"},
                    "dcat:endDate": {"@value": measured.ends, "@type": "xsd:dateTime"},
                },
                "rdfs:comment": words_of(measured.counted),
            }
            for name in METRICS
        ]
    }


def _metric(name: str) -> Node:
    dimension = METRICS[name]
    return {
        "@id": f"urn:lgsp:metric:{name}",
        "@type": "dqv:Metric",
        "skos:prefLabel": words_of(metric(name)),
        "skos:definition": words_of(computation(name)),
        "dqv:expectedDataType": {"@id": "http://www.w3.org/2001/XMLSchema#integer"},
        "dqv:inDimension": {
            "@id": f"urn:lgsp:dimension:{dimension}",
            "@type": "dqv:Dimension",
            "skos:prefLabel": words_of(_words(f"dimension.{dimension}")),
        },
    }


def words_of(words: Words) -> list[Node]:
    """A text in both languages."""
    return [text(words.vi, "vi"), text(words.en, "en")]


def text(words: str, language: str) -> Node:
    return {"@value": words, "@language": language}
