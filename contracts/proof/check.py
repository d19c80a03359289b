"""Checks a contract folder and reports what is proved: for `lgsp contract check`, and for pages that take a zip.

Proved: the bundle is byte-stable; the schema keeps to the profile; every table is complete; every sample decodes to its
twin; the laws hold on each sample in each format and on its variants; the XSD accepts what the schema accepts;
generated samples are accepted or refused as declared; each foreign face accepts what its format writes.
Invariant: everything that fails is a finding with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from lxml import etree

from contracts.base.errors import Failure, Finding
from contracts.canonical.model import Pattern, Sample
from contracts.codecs.cells.codec import CellCodec
from contracts.codecs.codec import Codec, Value
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.errors import MESSAGE_NOT_EXPRESSIBLE
from contracts.faces import xsd
from contracts.faces.samples import allowed
from contracts.folder.bundle import Bundle
from contracts.folder.todo_markers import marks
from contracts.proof import faces
from contracts.proof.budget import Budget, Exhausted
from contracts.proof.personal import unmarked
from contracts.proof.trials import variants
from contracts.proof.unwritten import unwritten
from contracts.wire import jsontext
from contracts.wire.soap import parse_xml

T = TypeVar("T")


@dataclass(slots=True)
class Report:
    """`ok` where there are no findings; `losses` and `warnings` are not faults.

    `bundle` and `compiled` are what was proved. A caller that uses them need not read the folder again, which may have
    changed.
    """

    folder: str
    contract: str = ""
    digest: str = ""
    proved: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    bundle: Bundle | None = None
    compiled: CompiledContract | None = None

    @property
    def ok(self) -> bool:
        return not self.findings


def check(folder: Path, budget: Budget | None = None) -> Report:
    """Checks a folder. Faults of the folder are findings, never exceptions; so is a budget that is used up."""
    report = _check("/".join(folder.absolute().parts[-2:]), lambda: Bundle.from_folder(folder), budget)
    if report.compiled is not None:
        report.findings += layout(report.compiled, folder.name)
    return report


def check_bundle(bundle: Bundle, budget: Budget | None = None) -> Report:
    """Checks a folder that was read before."""
    return _check("", lambda: bundle, budget)


def refused(failure: Failure) -> Report:
    """The report on a folder that cannot be read."""
    return Report("", findings=list(failure.findings))


def layout(compiled: CompiledContract, folder: str) -> list[Finding]:
    """A finding if the folder is not named for the major version."""
    version, wanted = compiled.contract.version, f"v{compiled.contract.major}"
    if folder == wanted:
        return []
    return [Finding("contract.yaml", "version", f"version {version} in {folder}", "layout", f"a folder {wanted}")]


def _check(place: str, read: Callable[[], Bundle], budget: Budget | None) -> Report:
    report, budget = Report(place), budget or Budget(lambda: 0.0)
    try:
        with budget.step("schema and tables"):
            report.bundle = bundle = read()
            report.findings.extend(marks(bundle))
            report.compiled = compiled = compile_bundle(bundle)
        _prove(compiled, bundle, report, budget)
    except Failure as failure:
        report.findings.extend(failure.findings)
    except Exhausted:
        report.findings.append(budget.finding())
    return report


def _prove(compiled: CompiledContract, bundle: Bundle, report: Report, budget: Budget) -> None:
    report.contract, report.digest = compiled.contract.name, compiled.digest
    if Bundle.from_bytes(bundle.to_bytes()).digest != bundle.digest:
        report.findings.append(Finding("", "", "another digest after storing", "bundle", "the same bytes"))
    report.proved.append(
        f"{len(bundle.files)} files, {len(compiled.exchanged)} messages, {len(compiled.tables)} code "
        f"tables, {len(compiled.formats)} formats"
    )
    report.warnings += [
        Finding(
            "contract.yaml",
            f"operations.{each.name}",
            "no identity: the same message twice is two events",
            "identity",
            "an identity",
        )
        for each in compiled.contract.operations.values()
        if each.pattern is Pattern.SUBMIT and each.identity is None
    ]
    for codec in compiled.formats.values():
        for message in sorted(codec.mapped):
            report.losses.extend(f"{codec.name} {message}: {loss}" for loss in codec.losses(message))
    report.warnings += unmarked(compiled, bundle)
    with budget.step("the XSD"):
        schema = _schema(compiled, report)
    with budget.step("generated samples"):
        report.proved.append(faces.generated_samples(compiled, report.findings, budget.spend))
    with budget.step("faces of formats"):
        report.proved += faces.foreign_faces(compiled, report.findings, budget.spend)
    for sample in compiled.samples:
        before = len(report.findings)
        with budget.step(f"sample {sample.format}/{sample.message}.{sample.name}"):
            _sample(compiled, sample, schema, report)
        if len(report.findings) == before:
            report.proved.append(
                f"sample {sample.format}/{sample.message}.{sample.name}: decoded, and the laws hold in every format"
            )
    for message in compiled.exchanged:
        with budget.step(f"the laws on {message}"):
            _trials(compiled, message, report, budget)


def _trials(compiled: CompiledContract, message: str, report: Report, budget: Budget) -> None:
    """Checks the laws on the variants of the largest sample of a message."""
    canonical, validator = compiled.codec("canonical"), compiled.validators[message]
    formats = [codec for codec in compiled.formats.values() if codec.name == "canonical" or message in codec.mapped]
    if report.findings:
        return
    twins = (each.canonical for each in compiled.samples if each.message == message)
    samples = sorted((text for twin in twins for text in _texts(twin)), key=len)
    if not samples:
        return
    tried = refused = 0
    every = variants(validator.struct, canonical.read_json(message, samples[-1]))
    for value in islice(every, allowed(compiled, len(samples[-1]))):
        if compiled.validate(message, value):
            continue
        tried += 1
        budget.spend()
        for codec in formats:
            refused += _laws(codec, message, value, report)
        if report.findings:
            return
    note = f"; {refused} times a format could not carry a value and refused it" if refused else ""
    report.proved.append(f"{message}: the laws hold for {tried} values in {len(formats)} formats{note}")


def _schema(compiled: CompiledContract, report: Report) -> etree.XMLSchema | None:
    try:
        schema = etree.XMLSchema(parse_xml(xsd.xsd(compiled)))
    except etree.XMLSchemaParseError as error:
        report.findings.append(
            Finding("schema.json", "", str(error)[:200], "xsd", "a schema that XML Schema 1.0 takes")
        )
        return None
    report.proved.append("the XSD is a valid XML Schema 1.0")
    return schema


def _sample(compiled: CompiledContract, sample: Sample, schema: etree.XMLSchema | None, report: Report) -> None:
    is_xml, path = sample.kind == "xml", sample.file
    stem = path.rpartition(".")[0]
    canonical, codec = compiled.codec("canonical"), compiled.codec(sample.format)
    if isinstance(codec, CellCodec) and sample.message in codec.mapped:
        _cell_sample(compiled, codec, sample, schema, report)
        return
    twin = _try(
        report,
        path if sample.format == "canonical" and not is_xml else f"{stem}.canonical.json",
        lambda: canonical.read_json(sample.message, sample.canonical),
    )
    if twin is None:
        return
    read: Callable[[], Value] = (
        (lambda: codec.read_xml(sample.message, parse_xml(sample.raw, published=True)))
        if is_xml
        else (lambda: codec.read_json(sample.message, sample.raw))
    )
    decoded = _try(report, path, read)
    if decoded is not None and decoded != twin:
        for where in _differences(decoded, twin, "")[:5]:
            report.findings.append(
                Finding(path, where, "another value than in the twin", "sample", "the same canonical message")
            )
    if decoded is not None and decoded == twin:
        raw = parse_xml(sample.raw, published=True) if is_xml else sample.raw
        lost = _try(report, path, lambda: unwritten(codec, sample.message, raw, codec.write(sample.message, twin)))
        losses = (f"{codec.name} {sample.message}: {loss}" for loss in lost or ())
        report.losses += [loss for loss in losses if loss not in report.losses]
    _everywhere(compiled, sample, twin, schema, report)


def _everywhere(
    compiled: CompiledContract, sample: Sample, twin: Value, schema: etree.XMLSchema | None, report: Report
) -> None:
    for each in compiled.formats.values():
        _laws(each, sample.message, twin, report)
    written = compiled.codec("canonical").write_xml(sample.message, twin)
    if schema is not None and not schema.validate(etree.fromstring(written)):
        report.findings.append(
            Finding(sample.file, "", "refused by the generated XSD", "xsd", "accepted by every face")
        )


def _cell_sample(
    compiled: CompiledContract, codec: CellCodec, sample: Sample, schema: etree.XMLSchema | None, report: Report
) -> None:
    """Checks a file of lines, whose twin is one message or a list of messages."""
    stem, canonical = sample.file.rpartition(".")[0], compiled.codec("canonical")
    one = codec.is_list(sample.message)
    texts = [sample.canonical] if one else _try(report, f"{stem}.canonical.json", lambda: _listed(sample.canonical))
    decoded = _try(report, sample.file, lambda: codec.read_cells(sample.message, sample.raw))
    twins: list[Value] = []
    for text in texts or []:
        twin = _try(report, f"{stem}.canonical.json", partial(canonical.read_json, sample.message, text))
        if twin is not None:
            twins.append(twin)
            _everywhere(compiled, sample, twin, schema, report)
    if decoded is not None and texts is not None and len(twins) == len(texts):
        for where in _differences(decoded[0] if one else decoded, twins[0] if one else twins, "")[:5]:
            report.findings.append(
                Finding(sample.file, where, "another value than in the twin", "sample", "the same canonical message")
            )


def _texts(raw: bytes) -> list[bytes]:
    """The message of a twin, or the messages of a list, each as JSON text."""
    value = jsontext.read_json(raw)
    return [jsontext.text_of(each).encode() for each in value] if isinstance(value, list) else [raw]


def _listed(raw: bytes) -> list[bytes]:
    if not isinstance(jsontext.read_json(raw), list):
        raise jsontext.not_json("no list of messages", (1, 1))
    return _texts(raw)


def _laws(codec: Codec, message: str, value: Value, report: Report) -> int:
    """Adds findings, with the row, where a law does not hold. Returns how often writing was refused."""
    refused = 0
    for media in sorted(codec.speaks if message in codec.mapped or codec.name == "canonical" else frozenset()):
        try:
            back = codec.read(message, codec.write(message, value, media), media)
        except Failure as failure:
            refused += failure.code == MESSAGE_NOT_EXPRESSIBLE.code
            if failure.code != MESSAGE_NOT_EXPRESSIBLE.code:
                where = failure.findings[0].canonical if failure.findings else ""
                report.findings.append(
                    Finding(
                        _row(codec, message, where),
                        where,
                        failure.code,
                        "law",
                        f"what {codec.name} ({media}) writes, it reads",
                    )
                )
            continue
        if back != codec.normal(message, value):
            for where in _differences(back, codec.normal(message, value), "")[:5]:
                report.findings.append(
                    Finding(
                        _row(codec, message, where),
                        where,
                        f"another value after {codec.name} ({media}) and back",
                        "law",
                        "the same, but for the losses listed",
                    )
                )
    return refused


def _row(codec: Codec, message: str, canonical: str) -> str:
    """File and line of the row for a canonical path, else the file."""
    plan = codec.plans.get(message)
    return (
        "schema.json"
        if plan is None
        else plan.lines.get(re.sub(r"\[\d+\]", "[]", canonical), f"systems/{codec.name}.yaml")
    )


def _try(report: Report, path: str, work: Callable[[], T]) -> T | None:
    try:
        return work()
    except Failure as failure:
        findings = failure.findings or (Finding("", "", failure.what("en"), failure.code, ""),)
        report.findings.extend(
            Finding(f"{path}: {each.here}" if each.here else path, each.canonical, each.got, each.rule, each.expected)
            for each in findings
        )
        return None


def _differences(one: object, other: object, at: str) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        names = list(dict.fromkeys([*one, *other]))
        missing = object()
        return [
            where
            for name in names
            for where in _differences(
                one.get(name, missing), other.get(name, missing), f"{at}.{name}" if at else str(name)
            )
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            where
            for number, pair in enumerate(zip(one, other, strict=True))
            for where in _differences(*pair, f"{at}[{number}]")
        ]
    return [] if one == other and type(one) is type(other) or one == other else [at or "the whole"]
