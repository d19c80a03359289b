"""What a foreign interface says, in one form for XML and JSON: messages as trees of named parts, and what could not be taken.

The importers make it, `contracts.importers.draft` writes it as a contract folder. Invariant: what an importer leaves out or takes
otherwise than it stands is a `Note` with its place; nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from contracts.base.errors import Finding, Theirs, Words

MAX_CALLS: Final = 40  # operations of one draft
MAX_PLACES: Final = 1_500  # parts of one message
MAX_DEPTH: Final = 16  # groups within groups
_SHOWN: Final = 4
RECURSION: Final = 2  # how often a type stands within itself


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its canonical JSON Schema, words of its row beside `canonical` and `here`, and what people have to say about it."""

    schema: Mapping[str, Any]
    row: Mapping[str, str] = field(default_factory=dict)
    ask: Words | None = None


@dataclass(slots=True)
class Group:
    """An object: the name of its type (a hint for $defs) and its parts in the order of the format.

    `items` is shared by a group that stands for the items of a list, and by each list within it that has the same items.
    """

    name: str
    parts: list[Part] = field(default_factory=list)
    title: str = ""
    items: Items | None = None


@dataclass(slots=True, eq=False)
class Items:
    """The items of a list, while they are read: a list of the same items inside them refers to it."""

    again: bool = False


@dataclass(slots=True)
class Part:
    """An element, attribute, text or member. `step` is how a mapping table names it; `most` None is without bound.

    `nil` says that it may stand there as nil (XML) or null (JSON); `keyed` that its items are members whose names are values.
    """

    name: str
    step: str
    content: Value | Group | Items | None  # None: its place is known, its content cannot be taken
    least: int = 1
    most: int | None = 1
    title: str = ""
    constant: str | None = None
    nil: bool = False
    keyed: bool = False

    @property
    def many(self) -> bool:
        return self.most is None or self.most > 1

    @property
    def stands_as_nil(self) -> bool:
        """Whether it must stand even without a value: then nil is a reason for absence, not merely nothing."""
        return self.nil and self.least > 0

    @property
    def carries(self) -> bool:
        """Whether every message has a value here: a group without one cannot be told from a missing group."""
        if self.least < 1 or self.nil or self.content is None or self.constant is not None:
            return False
        return self.many or not isinstance(self.content, Group) or any(each.carries for each in self.content.parts)


@dataclass(frozen=True, slots=True)
class Message:
    """`root` is the root element in XML (prefixed), None in JSON; no parts: nothing is sent."""

    name: str
    root: str | None
    body: Group


@dataclass(frozen=True, slots=True)
class Call:
    """One operation; without an `answer` something is handed in. `method`, `path`, `action`: how the system itself is called, None where the contract's own way does."""

    name: str
    request: Message
    answer: Message | None
    title: str = ""
    action: str | None = None
    method: Literal["GET", "POST"] | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that was not taken, or otherwise than it stands. `place` is file, line and path."""

    code: str
    place: str
    detail: str = ""

    def say(self, language: Literal["vi", "en"]) -> str:
        return NOTES[self.code].say(language, {"detail": self.detail})


def told(notes: Sequence[Note]) -> list[str]:
    """The notes in both languages, those of one kind on one line with their first places."""
    by_code: dict[str, list[Note]] = {}
    for note in notes:
        by_code.setdefault(note.code, []).append(note)
    lines = []
    for code, same in by_code.items():
        facts = {"detail": _listed([each.detail for each in same])}
        words = NOTES[code]
        lines.append(f"{words.say('vi', facts)} / {words.say('en', facts)} ({_listed([each.place for each in same])})")
    return lines


def nothing(file: str, notes: Sequence[Note]) -> Theirs:
    """No operation was left to take: each reason is a finding, with its place."""
    different = list(dict.fromkeys(notes))
    findings = [
        Finding(each.place, "", "", each.code, f"{each.say('vi')} / {each.say('en')}") for each in different[:20]
    ]
    return Theirs(
        "import.nothing",
        findings=findings,
        file=file,
        why=", ".join(dict.fromkeys(each.code for each in different)) or "–",
    )


def _listed(texts: Sequence[str]) -> str:
    different = list(dict.fromkeys(each for each in texts if each))
    return ", ".join(different[:_SHOWN]) + (f", … ({len(different)})" if len(different) > _SHOWN else "")


@dataclass(slots=True)
class Interface:
    """A foreign interface as read."""

    name: str
    media: Literal["xml", "json"]
    namespaces: Mapping[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)


NOTES: Final[Mapping[str, Words]] = {
    "not-loaded": Words("không nạp {detail}: chỉ đọc tệp đặt trong thư mục, không tải từ mạng; có tệp thì chỉ bằng --with",
                        "{detail} was not loaded: only files inside the folder are read, nothing is fetched; name its folder with --with"),
    "missing": Words("không tìm thấy {detail}", "{detail} is not defined in the files read"),
    "any": Words("nội dung mở (xs:any) không nhận", "open content (xs:any) is not taken"),
    "any-type": Words("{detail} có nội dung tuỳ ý; bảng ánh xạ đọc lướt qua", "{detail} may hold anything; the table reads over it"),
    "any-attribute": Words("thuộc tính tuỳ ý (xs:anyAttribute) không nhận", "open attributes (xs:anyAttribute) are not taken"),
    "choice": Words("lựa chọn giữa {detail}: các trường đều không bắt buộc, hợp đồng không buộc đúng một", "a choice of {detail}: all are optional, that there is one is left to the system"),
    "repeated-group": Words("nhóm lặp lại ({detail}): thứ tự xen kẽ bị mất", "a repeated group ({detail}): the order among its elements is lost"),
    "repeated-name": Words("{detail} có hai lần trong một nhóm: lấy làm danh sách", "{detail} stands twice in one group: taken as a list"),
    "mixed": Words("chữ xen giữa các phần tử không nhận", "text between elements (mixed content) is not taken"),
    "recursion": Words("{detail} chứa chính nó: viết ra đến một độ sâu nhất định", "{detail} holds itself: written out to a fixed depth"),
    "too-deep": Words("{detail} lồng quá sâu, không lấy", "{detail} is nested too deeply and is left out"),
    "too-large": Words("bản tin quá {detail} trường; phần còn lại bị bỏ", "the message has more than {detail} fields; the rest is left out"),
    "hollow": Words("{detail} bắt buộc dù có thể rỗng: khi rỗng sẽ không được ghi ra", "{detail} must stand even when empty: when empty it is not written"),
    "nillable": Words("{detail} bắt buộc mà có thể là xsi:nil: đọc là vắng mặt; khi bản tin chuẩn thiếu hẳn thì không ghi ra", "{detail} must stand and may be xsi:nil: read as absent; where the canonical message lacks it, it is not written"),
    "nil-items": Words("các phần tử của danh sách {detail} có thể là xsi:nil: không nhận", "items of the list {detail} may be xsi:nil: they are not taken so"),
    "nil-entries": Words("{detail} có thể là null: không nhận", "{detail} may be null: it is not taken so"),
    "abstract": Words("kiểu trừu tượng {detail}: chỉ lấy phần chung, không nhận xsi:type", "the abstract type {detail}: only what is common is taken, no xsi:type"),
    "pattern": Words("biểu thức mẫu {detail} không chép được; hệ thống tự kiểm tra", "the pattern {detail} cannot be said in the contract; the system itself checks it"),
    "facet": Words("ràng buộc {detail} không chép được; hệ thống tự kiểm tra", "the facet {detail} cannot be said in the contract; the system itself checks it"),
    "list": Words("danh sách giá trị trong một chuỗi ({detail}): lấy làm chuỗi", "a list of values in one text ({detail}): taken as text"),
    "union": Words("hợp của nhiều kiểu ({detail}): lấy làm chuỗi", "a union of types ({detail}): taken as text"),
    "float": Words("số thực dấu phẩy động: không nhận luỹ thừa (1E3), INF, NaN", "floating point: no exponent (1E3), INF or NaN is taken"),
    "open-root": Words("{detail}: phần tử gốc có nội dung tuỳ ý, không lập bảng được", "{detail}: a root element that may hold anything cannot be mapped"),
    "body-type": Words("{detail}: Body theo kiểu chứ không theo phần tử, không lập bảng được", "{detail}: a Body by type instead of element cannot be mapped"),
    "encoded": Words("{detail} dùng kiểu encoded: lấy như literal, không nhận xsi:type, href", "{detail} is use=\"encoded\": taken as literal, without xsi:type and href"),
    "header": Words("phần tiêu đề SOAP {detail} không nhận", "the SOAP header {detail} is not taken"),
    "parts": Words("{detail} có nhiều phần trong Body: chỉ lấy phần đầu", "{detail} has several parts in the Body: the first is taken"),
    "attachment": Words("tệp đính kèm MIME của {detail} không nhận", "the MIME attachments of {detail} are not taken"),
    "binding": Words("ràng buộc {detail} không phải SOAP, bỏ qua", "the binding {detail} is not SOAP and is left out"),
    "soap12": Words("{detail} chỉ có SOAP 1.2: lấy bản tin; kiểm tra hệ thống có nhận SOAP 1.1", "{detail} speaks SOAP 1.2 alone: its messages are taken; see whether the system takes SOAP 1.1"),
    "no-binding": Words("không có ràng buộc: giả định document/literal", "there is no binding: document/literal is assumed"),
    "one-way": Words("{detail} không có câu trả lời: coi là nộp về trung tâm, trục trả biên nhận", "{detail} has no answer: taken as handed in to the centre, the gateway answers with its receipt"),
    "notification": Words("{detail} do hệ thống chủ động gửi (không có input), không lấy", "{detail} is a notification (no input) and is not taken"),
    "fault": Words("lỗi {detail} không lập bảng; cổng trả lỗi chung", "the fault {detail} is not mapped; the gateway answers with its own"),
    "too-many": Words("{detail}: quá nhiều thao tác; chọn bằng --operation", "{detail}: too many operations; choose it with --operation"),
    "empty-action": Words("{detail} có soapAction rỗng: cổng gửi tên thao tác của hợp đồng", "{detail} has an empty soapAction: the gateway sends the contract's own name"),
    "redefine": Words("xs:redefine {detail}: lấy định nghĩa gốc", "xs:redefine {detail}: the original definition is taken"),
    "nullable": Words("{detail} bắt buộc mà có thể là null: đọc là vắng mặt; khi bản tin chuẩn thiếu hẳn thì không ghi ra", "{detail} must stand and may be null: read as absent; where the canonical message lacks it, it is not written"),
    "alternatives": Words("{detail} có thể thuộc nhiều kiểu: chỉ lấy kiểu đầu", "{detail} may be of several kinds: the first is taken"),
    "map": Words("{detail} nhận tên trường tuỳ ý (additionalProperties): không nhận trường lạ", "{detail} takes fields of any name (additionalProperties): unknown ones are refused"),
    "array-of-arrays": Words("{detail} là mảng của mảng, không nhận", "{detail} is an array of arrays and is not taken"),
    "path-parameter": Words("đường dẫn {detail} có tham số: cổng chưa gọi được hệ thống theo đường dẫn này", "the path {detail} has parameters: the gateway does not call the system by it"),
    "method": Words("{detail}: cổng gọi hệ thống bằng GET hoặc POST", "{detail}: the gateway calls a system by GET or POST"),
    "parameter": Words("tham số {detail} không nhận", "the parameter {detail} is not taken"),
    "media": Words("kiểu nội dung {detail} không phải JSON; thao tác bị bỏ", "the content {detail} is not JSON; the operation is left out"),
    "root": Words("{detail} không phải đối tượng JSON: không lập bảng được; thao tác bị bỏ", "{detail} is not a JSON object and cannot be mapped; the operation is left out"),
    "order": Words("{detail} đứng đầu trong nhóm chứa chính nó: khi ghi sẽ đứng sau các trường khác", "{detail} comes first in a group that holds itself: it is written after the other fields"),
    "name": Words("tên {detail} không viết được trong bảng ánh xạ, không lấy", "the name {detail} cannot be written in a table and is not taken"),
}  # fmt: skip
