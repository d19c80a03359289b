"""`try` and `check` list what a message has and what is not written again."""

from __future__ import annotations

from contracts.proof.tryout import try_out
from tests.contracts.rowsmaking import NAME, closed, contract, schema

THING = schema(
    {
        "id": NAME,
        "note": NAME,
        "lines": {"type": "array", "items": closed({"no": NAME, "at": NAME}, "no")},
    },
    "id",
    "lines",
)
ROWS = {
    "xml-a": """
        - {canonical: id, here: d:Ma}
        - {canonical: note, here: d:Them/d:GhiChu, missing: [null, ""]}
        - {canonical: "lines[].no", here: "d:Ds/d:Dong[]/d:So"}
        - {canonical: "lines[].at", here: "d:Ds/d:Dong[]/d:Luc/@v"}
        ignores: [d:ChuKy]
    """,
    "json-a": """
        - {canonical: id, here: ma}
        - {canonical: note, here: them.ghiChu, missing: [null]}
        - {canonical: "lines[].no", here: "ds[].so"}
        - {canonical: "lines[].at", here: "ds[].luc.v"}
        ignores: [chuKy]
    """,
}


def test_what_is_not_written_again_is_a_loss() -> None:
    compiled = contract(THING, ROWS)

    def tried(name: str, raw: str) -> tuple[str, list[str]]:
        tryout = try_out(compiled, name, raw.encode(), "Thing")
        assert tryout.failure is None and tryout.ok
        (written,) = (each for each in tryout.written if each.format == name)
        return written.outcome, list(written.losses)

    said = "in the message, not written again"
    nil = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"'
    whole = "<Ds><Dong><So>1</So></Dong></Ds>"
    assert tried("xml-a", f'<T xmlns="urn:d"><Ma>1</Ma>{whole}<ChuKy a="1"/></T>') == ("same", [])
    assert tried("xml-a", f'<T xmlns="urn:d"><Ma>1</Ma><Them/>{whole}</T>') == ("with-losses", [f"d:Them: {said}"])
    assert tried("xml-a", f'<T xmlns="urn:d"><Ma>1</Ma><Them><GhiChu {nil}/></Them><Ds/></T>') == (
        "with-losses",
        [f"d:Them: {said}", f"d:Ds: {said}"],
    )
    assert tried("xml-a", f'<T xmlns="urn:d"><Ma>1</Ma>{whole.replace("</So>", "</So><Luc/>")}</T>') == (
        "with-losses",
        [f"d:Ds/d:Dong/d:Luc: {said}"],
    )
    assert tried("json-a", '{"ma":"1","ds":[{"so":"1"}],"chuKy":{"a":1}}') == ("same", [])
    assert tried("json-a", '{"ma":"1","ds":[{"so":"1","luc":{}}],"them":{"ghiChu":null}}') == (
        "with-losses",
        [f"ds[].luc: {said}", f"them: {said}"],
    )
