"""The trial of public documents (`tests/contracts/corpus/public.tsv`): its list and its parts; all of it when asked.

The list names packages, paths and digests. Nothing is fetched but with LGSP_TEST_SIZE=full.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from tests.contracts.importers import public as run
from tests.contracts.importers import publiclist as listed
from tests.contracts.importers.publicchoosing import kind_of, likeness
from tests.contracts.importers.publicfetching import members
from tests.contracts.importers.publiclist import Document, Package
from tests.contracts.importers.publictrial import Outcome, Task, all_tried
from tests.size import FULL

ROOT = Path(__file__).parents[3]
CORPUS = Path(__file__).parents[1] / "corpus"
LEAST = 300  # documents of each kind


def test_the_list_names_enough_documents_and_each_once() -> None:
    documents = listed.read()
    counted = Counter(each.kind for each in documents)
    assert all(counted[kind] >= LEAST for kind in listed.KINDS)
    assert len({each.digest for each in documents}) == len({(each.package, each.path) for each in documents})
    assert len(documents) == len({each.digest for each in documents})
    for each in documents:
        assert re.fullmatch(r"[0-9a-f]{64}", each.digest) and each.package.version
        assert not each.path.startswith("/") and ".." not in each.path.split("/") and "://" not in each.path


def test_the_page_says_how_many_documents_the_list_names() -> None:
    page = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
    documents = listed.read()
    assert f"names {len(documents)} documents" in page
    of_kind = {kind: [each.package.name for each in documents if each.kind == kind] for kind in listed.KINDS}
    counted = " | ".join(f"{len(names)}, {len(set(names))}" for names in of_kind.values())
    assert f"| documents, packages | {counted} |" in page


def test_the_list_reads_back_as_written(tmp_path: Path) -> None:
    listed.write(listed.read(), tmp_path / "list.tsv")
    assert (tmp_path / "list.tsv").read_bytes() == listed.FILE.read_bytes()
    (tmp_path / "list.tsv").write_text(listed.HEAD + "wsdl\tdigest\tno package above it\n")
    with pytest.raises(ValueError, match="no package above it"):
        listed.read(tmp_path / "list.tsv")


def test_documents_end_as_passed_as_nothing_or_as_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.wsdl"
    empty.write_text('<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/"/>')
    (tmp_path / "old.yaml").write_text("swagger: '2.0'\n")
    tasks = [
        Task(CORPUS, "array-of-wrapper.wsdl", "wsdl"),
        Task(CORPUS, "webhooks.yaml", "openapi"),
        Task(tmp_path, "empty.wsdl", "wsdl"),
        Task(tmp_path, "old.yaml", "openapi"),
    ]
    outcomes = dict(all_tried(tasks))
    assert [outcomes[each].state for each in tasks] == ["passed", "passed", "nothing", "refused"]
    assert {each.code for each in outcomes[tasks[0]].losses} == {"nil-items"}
    assert outcomes[tasks[2]].why[0][0] == "no-port-type"


def test_a_document_that_takes_too_long_is_ended() -> None:
    task = Task(CORPUS, "webhooks.yaml", "openapi")
    ((_, outcome),) = all_tried([task], seconds=0)
    assert outcome.state == "slow" and not run.good([outcome])


def test_the_numbers_count_drafts_apart_from_documents_with_nothing_to_take() -> None:
    document = Document(Package("npm", "a", "1"), "wsdl", "0" * 64, "a.wsdl")
    states = [Outcome("passed")] * 99 + [Outcome("failed", (("type", "x"),)), Outcome("nothing"), Outcome("refused")]
    assert run.good(states) and not run.good([*states, Outcome("crashed")])
    lines = list(run.summary([(document, each) for each in states]))
    assert lines[0] == "wsdl: 102 documents of 1 packages: 99 passed, 1 failed, 1 nothing, 1 refused"
    assert "  failed: type 1" in lines


def test_of_an_archive_only_documents_inside_it_are_unpacked(tmp_path: Path) -> None:
    names = ["a/b.wsdl", "a/../../b.wsdl", "a/b.py", "a/c.json"]
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tarred, zipfile.ZipFile(tmp_path / "a.whl", "w") as zipped:
        for name in names:
            zipped.writestr(name, b"x")
            member = tarfile.TarInfo(name)
            member.size = 1
            tarred.addfile(member, io.BytesIO(b"x"))
        linked = tarfile.TarInfo("a/d.xsd")
        linked.type, linked.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tarred.addfile(linked)
    assert list(members(tmp_path / "a.tar.gz")) == [("b.wsdl", b"x"), ("c.json", b"x")]
    assert list(members(tmp_path / "a.whl")) == [("a/b.wsdl", b"x"), ("a/c.json", b"x")]


def test_versions_of_one_interface_are_alike() -> None:
    raw = (CORPUS / "webhooks.yaml").read_bytes()
    other = raw.replace(b"title: Webhooks", b"title: Webhooks2")
    assert kind_of(Path("a.yaml"), raw) == "openapi" and raw != other
    one, two = likeness("openapi", raw), likeness("openapi", other)
    assert one is not None and two is not None and one[0] == two[0] and one[1] != two[1]
    assert likeness("openapi", raw + b"# the same\n") == one
    assert kind_of(Path("a.yaml"), b"swagger: '2.0'") is None


@pytest.mark.skipif(not FULL, reason="fetches packages and takes minutes: LGSP_TEST_SIZE=full")
def test_drafts_of_public_documents_pass_check() -> None:
    assert run.main([]) == 0
