"""The registry's content that waits for officers, or came into force: in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.registry.changes.proposals import Effect


def lines(waiting: list[dict[str, Any]]) -> list[str]:
    """With the commands that come next."""
    from security.grants.grants import OFFICERS

    text: list[str] = []
    to_sign: list[str] = []
    for each in waiting:
        count = len(each["signed_by"])
        signed = f" ({', '.join(each['signed_by'])})" if count else ""
        text.append(
            f"{each['subject']}: waits, {count} of {OFFICERS} signatures / chờ, {count} trên {OFFICERS} chữ ký{signed}"
        )
        if each["waits_for"]:
            text.append(f"      and for / và chờ {', '.join(each['waits_for'])}")
        if owner := each.get("owner"):
            text.append(
                f"      one of them of {owner}, the contract's owner / trong đó một người của {owner}, đơn vị chủ trì"
            )
        if each.get("lapsed"):
            text.append("      lapsed: publish the contract again / quá hạn: công bố lại hợp đồng")
        elif count < OFFICERS or each.get("owner"):
            text.append(f"      lgsp access show {each['subject']}")
            to_sign.append(each["subject"])
    if to_sign:
        text.append(f"      lgsp access approve {' '.join(to_sign)} --officer ID --key FILE")
    return text


def in_force_lines(effects: list[Effect], sandbox: bool = False) -> list[str]:
    whose = " (stand-in officers of this sandbox / cán bộ thế của môi trường thử nghiệm)" if sandbox else ""
    return [
        f"{each.proposal.subject.path}: in force, signed by / có hiệu lực, người ký: {', '.join(each.signed_by)}{whose}"
        for each in effects
    ]
