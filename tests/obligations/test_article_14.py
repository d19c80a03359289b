"""Article 14: the catalogue, and what else the centre draws up."""

from __future__ import annotations

import pytest
from rdflib import DCAT, RDF, Graph

from examples.story.world import World
from tests.obligations.calls import outside, published

pytestmark = pytest.mark.server


@pytest.mark.obligation("14.1")
def test_catalogue_contracts_and_feeds_match_one_to_one(world: World) -> None:
    """Article 14.1: each contract is one data set in DCAT, and a feed is served of no other."""
    base = world.identity("dieu-hanh").gateway
    answer = outside(world).get(f"{base}/contracts/catalog.ttl", timeout=60)
    graph = Graph().parse(data=answer.text, format="turtle")
    sets = {str(each).removeprefix(f"{base}/contracts/") for each in graph.subjects(RDF.type, DCAT.Dataset)}
    assert sets == {each["name"] for each in published(world, "/contracts")}
    told = world.lgsp("catalogue", "--data", str(world.data))["datasets"]
    assert sets == {each["id"] for each in told} and all(each["owner"] for each in told)
    centre = world.rest("dieu-hanh")
    for each in told:
        problem = centre.call("GET", f"/feeds/{each['id']}?limit=1").problem or {}
        assert (problem.get("code") == "feed.unknown") is ("feed" not in each["doors"]), each["id"]
