"""What a contract declares about business keys, as data for OpenAPI and as sentences for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.canonical.model import EventFacts, FeedAnswer, Identity, Kind, Operation


def declared(operation: Operation) -> dict[str, Any]:
    """The vendor extensions of an operation in OpenAPI."""
    extensions: dict[str, Any] = {}
    if operation.identity is not None:
        extensions["x-lgsp-identity"] = _identity(operation.identity)
    if operation.feed is not None:
        extensions["x-lgsp-feed"] = {"operation": operation.feed.operation, "key": list(operation.feed.key)}
    if operation.in_feed:
        extensions["x-lgsp-feed"] = {"subject": operation.subject} if operation.subject else True
    if (told := event_facts(operation.event)) != {}:
        extensions["x-lgsp-event"] = told
    return extensions


def event_facts(event: EventFacts) -> dict[str, str]:
    """The fields that the contract names, by what they are."""
    facts = {"made": event.made, "expires": event.expires, "area": event.area}
    return {name: path for name, path in facts.items() if path}


def sentences(operation: Operation) -> list[tuple[str, Mapping[str, str]]]:
    """(name of the words, facts) of each rule, for people."""
    rules: list[tuple[str, Mapping[str, str]]] = []
    if isinstance(feed := operation.feed, FeedAnswer):
        rules.append(("identity.feed", {"operation": feed.operation, "key": ", ".join(feed.key)}))
    if operation.in_feed:
        rules.append(("identity.in-feed", {}))
        if operation.key is not None:
            rules.append(("identity.named", {"key": operation.key}))
    rules += [(f"event.{name}", {"field": path}) for name, path in event_facts(operation.event).items()]
    if (identity := operation.identity) is None:
        return rules
    rules.append((f"identity.key.{identity.scope}", {"key": ", ".join(identity.key)}))
    rules.append(("identity.repeat", {}))
    rules.append(("identity.corrects" if identity.corrects else "identity.refused", {}))
    for kind, relation in identity.relations.items():
        when = "; ".join(f"{path} = {' | '.join(values)}" for path, values in relation.when.items())
        rules.append((f"identity.{kind.value}", {"when": when, "refers": relation.refers or ", ".join(identity.key)}))
    if identity.reference:
        rules.append(("identity.reference", {"form": ",".join(identity.reference)}))
    return rules


def _identity(identity: Identity) -> dict[str, Any]:
    return {
        "key": [f"{path}?" if path in identity.optional else path for path in identity.key],
        "subject": list(identity.subject),
        "scope": identity.scope,
        "otherContent": "corrects" if identity.corrects else "refused",
        **{kind.value: _relation(identity, kind) for kind in identity.relations},
        **({"reference": list(identity.reference)} if identity.reference else {}),
    }


def _relation(identity: Identity, kind: Kind) -> dict[str, Any]:
    relation = identity.relations[kind]
    when = {path: list(values) for path, values in relation.when.items()}
    return {"when": when} if relation.refers is None else {"when": when, "refers": relation.refers}
