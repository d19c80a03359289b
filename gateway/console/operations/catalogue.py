"""Operations of the data catalogue: whole, and one data set; as JSON or as RDF, by what is accepted."""

from __future__ import annotations

from typing import Any, Final

from contracts.faces import rdf
from gateway.console.site.operation import Asked
from gateway.console.work import catalogue as work
from gateway.doors.reply import Reply

_JSON: Final = "json"


def read_catalogue(asked: Asked) -> Any:
    return _answer(asked, None)


def read_data_set(asked: Asked) -> Any:
    return _answer(asked, f"{asked.params['id']}/{asked.params['major']}")


def _answer(asked: Asked, name: str | None) -> Any:
    known = work.of(asked.desk, asked.viewer)
    wanted = asked.params["form"] or rdf.accepted(asked.accept, {"application/json": _JSON}, _JSON)
    form = next((each for each in rdf.FORMS if each == wanted), None)
    if form is not None:
        return Reply(200, {"content-type": rdf.MEDIA[form], "vary": "accept"}, known.written(form, name))
    return work.stated(known) if name is None else {"dataset": work.stated_set(known.one(name), known.base)}


OPERATIONS = {"readCatalogue": read_catalogue, "readDataSet": read_data_set}
