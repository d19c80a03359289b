"""`lgsp agent init`: writes a commented configuration to fill in, and a local secret.

Invariant: no file is overwritten.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.agent.secret import new_secret
from gateway.client.identities.identity import write_private

CONFIG: Final = "agent.yaml"
SECRET: Final = "local.secret"

TEMPLATE: Final = """\
# Tác tử LGSP / the LGSP agent. See docs/agent.md (docs/vi/agent.md). Paths are relative to this file.

# Thư mục danh tính do Trung tâm cấp / the identity folder that enrolment hands out.
identity: identity

# Mã bí mật nội bộ: hệ thống gửi trong tiêu đề Lgsp-Agent-Secret, hoặc Basic (mật khẩu).
# The local secret: the system shows it in the header Lgsp-Agent-Secret, or as the password of Basic.
secret: local.secret

# Hàng đợi, khóa niêm phong, tài liệu đã tải / queue, sealing key, fetched documents.
state: state

# Ngôn ngữ của thông báo lỗi / language in which people read refusals first: vi, en.
language: vi

# Chỉ khi tên của cổng trao đổi dữ liệu không dẫn tới cổng từ mạng này /
# only where the gateway's name leads elsewhere from this network (NAT, no DNS).
# connect: 10.20.0.5:8443

# Hệ thống gọi ra / the system as caller.
caller:
  listen: 127.0.0.1:8181
  # Hợp đồng được gọi / the contracts that it may call.
  contracts: [{contracts}]
  # Phục vụ Open311 GeoReport v2 cho field-report/v1 / serve Open311 GeoReport v2 for field-report/v1.
  # open311: true
  # Chờ cổng trả lời, giây / how long the gateway has to answer.
  seconds: 20
  # Dung lượng tối đa của các tệp đang chuyển, byte / the most bytes of files that pass at the same time.
  # files: 2147483648
  # Giới hạn hàng đợi khi không kết nối được cổng / how much is kept while the gateway is away.
  queue: {{messages: 10000, bytes: 500000000, days: 7}}

# Hệ thống được gọi / the system as provider. Bỏ dấu # nếu cổng gọi tới hệ thống / uncomment if the gateway calls it.
# provider:
#   listen: 0.0.0.0:8543
#   # Địa chỉ đã đăng ký với Trung tâm / the address that is registered with the centre.
#   base: https://he-thong.example:8543
#   # Hệ thống trả lời ở đây, và bằng gì / where the system answers, and in what: rest, soap.
#   system: http://127.0.0.1:9000
#   kind: rest
#   seconds: 10
#   # Hệ thống tự nhận ra thông điệp lặp lại theo Idempotency-Key / the system itself carries a message id out once.
#   knows_ids: false
"""


def make(folder: Path, contracts: tuple[str, ...]) -> list[Path]:
    """The files written. Raises FileExistsError if one of them exists."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config, secret = folder / CONFIG, folder / SECRET
    for each in (config, secret):
        if each.exists():
            raise FileExistsError(str(each))
    write_private(secret, new_secret().encode() + b"\n")
    config.write_text(TEMPLATE.format(contracts=", ".join(contracts) or "incident-alert/v1"), "utf-8")
    return [config, secret]
