"""What a proposal waits for besides its signatures: routes and systems depend on each other; data have one source."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from adapters.kinds import KINDS
from gateway.registry.changes.content import Content, Subject, named_systems
from gateway.registry.sources import shared


def waits_for(
    subject: Subject, content: Content, waiting: Collection[Subject], force: Mapping[Subject, Content]
) -> list[Subject]:
    """What else has to come into force before a proposal of `content` may.

    A route needs its systems as they are proposed. A system that gives up its address needs routes without it. A drop
    folder belongs to one system, and data have one source: who is to have it waits until the other one has given it up.
    """
    if subject.what == "route":
        systems = [Subject("system", name) for name in sorted(named_systems(content))]
        return [each for each in systems if each in waiting or each not in force]
    if subject.what == "system":
        return [each for each in sorted(force) if each != subject and _holds_up(content, each, force[each])]
    return []


def _holds_up(system: Content, other: Subject, held: Content) -> bool:
    """Whether content in force keeps a system's proposal from coming into force."""
    if other.what == "system" and shared(system, held) is not None:
        return True
    if is_called(system):
        return False
    folder = _folder(system)
    return (
        other.what == "route"
        and system["id"] in named_systems(held)
        or (folder is not None and folder == _folder(held))
    )


def _folder(content: Content) -> str | None:
    folder: str | None = content.get("endpoint", {}).get("folder")
    return folder


def is_called(content: Content) -> bool:
    """Whether a system can be the target of a route."""
    endpoint = content.get("endpoint")
    return endpoint is not None and "kind" in endpoint and KINDS[endpoint["kind"]].is_called
