"""The data catalogue: every data set, and one; as pages or as RDF, by what is accepted."""

from __future__ import annotations

from typing import Final

from contracts.faces import dcat, dqv, rdf
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Page, Sent, Shown
from gateway.console.work import catalogue as work

_PAGE: Final = "page"


def every(ask: Ask) -> Shown | Sent:
    known = work.of(ask.desk, ask.viewer)
    if (form := _form(ask)) is not None:
        return Sent(known.written(form), rdf.MEDIA[form])
    values = {"sets": known.sets, "publisher": known.publisher, "frequency": dcat.frequency, "forms": rdf.FORMS}
    return Shown("catalogue.html", values)


def one(ask: Ask) -> Shown | Sent:
    known, name = work.of(ask.desk, ask.viewer), f"{ask.path['id']}/v{ask.path['major']}"
    it = known.one(name)
    if (form := _form(ask)) is not None:
        return Sent(known.written(form, name), rdf.MEDIA[form])
    values = {
        "it": it,
        "base": known.base.rstrip("/"),
        "frequency": dcat.frequency,
        "theme": dcat.theme,
        "metrics": [(each, dqv.metric(each), dqv.computation(each)) for each in dqv.METRICS],
        "forms": rdf.FORMS,
    }
    return Shown("dataset.html", values)


def _form(ask: Ask) -> rdf.Form | None:
    """None for a page."""
    wanted = ask.query.get("form") or rdf.accepted(ask.accept, {"text/html": _PAGE}, _PAGE)
    return next((each for each in rdf.FORMS if each == wanted), None)


PAGES = (
    Page("/catalogue", every, May.CONTRACTS, N_("Data catalogue"), Menu.CONTRACTS),
    Page("/catalogue/{id}/v{major}", one, May.CONTRACTS, N_("Data set")),
)
