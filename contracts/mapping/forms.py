"""What of a table of JSON can be a form (application/x-www-form-urlencoded)."""

from __future__ import annotations

from contracts.mapping.plan import Plan


def unfit(plan: Plan) -> list[str]:
    """The places of a table of JSON that a form does not have: lists of objects, lists in lists, null."""
    places = []
    for node in plan.root.nodes():
        objects = node.kind == "many" and node.entry is None and (node.text is None or node.text.keys != ())
        leaves = [each for each in (node.text, node.absent) if each is not None]
        null = any(None in field.words for leaf in leaves for field in leaf.fields()) or None in node.skips
        if objects or null or node.again is not None or node.holds != "members":
            places.append(node.here)
    return places
