"""`lgsp contract new`: a contract folder with one operation and one format, to be edited.

It is the draft of a fixed interface, so that it is valid as every draft, and `check` lists what is left.
"""

from __future__ import annotations

from contracts.importers.draft import Draft, write
from contracts.importers.names import type_name
from contracts.importers.shape import Call, Group, Interface, Message, Part, Value

_TEXT = Value({"type": "string", "minLength": 1, "maxLength": 500})
_TIME = Value({"type": "string", "format": "date-time"})


def skeleton(contract_id: str) -> Draft:
    """The draft of a contract with the given id."""
    name = type_name(contract_id)
    request = Message(
        name,
        None,
        Group(
            name,
            [Part("identifier", "maSo", _TEXT), Part("sent", "thoiDiem", _TIME), Part("content", "noiDung", _TEXT)],
        ),
    )
    answer = Message(f"{name}Received", None, Group(f"{name}Received", [Part("identifier", "maSo", _TEXT)]))
    return write(
        Interface(
            contract_id, "json", calls=[Call(f"send {contract_id}", request, answer)], documents=["lgsp contract new"]
        ),
        contract_id,
    )
