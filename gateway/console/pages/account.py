"""Everybody's own account: password, codes of an authenticator, sessions, tokens."""

from __future__ import annotations

import segno
from markupsafe import Markup

from gateway.console.accounts import secrets, sessions, store, tokens
from gateway.console.errors import CONSOLE_FORM
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.journal.schema import tables

_HERE = "/console/account"


def account(ask: Ask) -> Shown:
    id, session = ask.viewer.account.id, tables.console_session
    with ask.desk.accounts() as rows:
        row = store.row_of(rows, id)
        found = rows.all(session, session.c.account == id)
    open_ones = sorted(found, key=lambda each: each.opened, reverse=True)[:20]
    return Shown("account.html", {"row": row, "sessions": open_ones})


def factors(ask: Ask) -> Shown:
    """The form for a password and an authenticator. The secret goes back and forth sealed by the page's own form."""
    with ask.desk.accounts() as rows:
        sessions.check_fresh(rows, ask.viewer, ask.now)
    secret = secrets.new_secret()
    sealed = ask.desk.sealer.seal(ask.viewer.account.id, secret).hex()
    return _factors(ask, secret, sealed)


def _factors(ask: Ask, secret: str, sealed: str) -> Shown:
    address = secrets.provisioning(secret, ask.viewer.account.id, ask.desk.services.settings.name)
    picture = segno.make(address, error="m").svg_inline(scale=4, border=2, svgclass="qr", lineclass=None)
    return Shown("factors.html", {"secret": secret, "sealed": sealed, "picture": Markup(picture)})  # noqa: S704  ours


def set_factors(ask: Ask) -> Moved:
    id = ask.viewer.account.id
    try:
        sealed = bytes.fromhex(ask.field("sealed", 400))
    except ValueError:
        raise CONSOLE_FORM(field="sealed", why="altered") from None
    secret = ask.desk.sealer.open(id, sealed)
    if secret is None:
        raise CONSOLE_FORM(field="sealed", why="altered")
    hashed = secrets.hash_password(id, ask.form.get("password", ""))
    if ask.form.get("password") != ask.form.get("again"):
        raise CONSOLE_FORM(field="again", why="not the same password")
    if (step := secrets.step_of(secret, ask.form.get("code", "").strip(), ask.now)) is None:
        raise CONSOLE_FORM(field="code", why="not the code of this secret now")
    with ask.desk.changing(ask.viewer) as change:
        sessions.check_fresh(change, ask.viewer, ask.now)
        store.set_factors(change, id, hashed, sealed, step)
        store.end_sessions(change, id, but=ask.viewer.mark)
    return Moved(_HERE, "factors-set")


def end_others(ask: Ask) -> Moved:
    id = ask.viewer.account.id
    with ask.desk.changing(ask.viewer) as change:
        ended = store.end_sessions(change, id, but=ask.viewer.mark)
        if ended:
            change.note(store.ACCOUNT, {"account": id, "how": "others-ended", "count": ended})
    return Moved(_HERE, "others-ended")


def tokens_page(ask: Ask) -> Shown:
    return _tokens(ask)


def add_token(ask: Ask) -> Shown:
    """Makes a token, and shows it this once."""
    days = ask.field("days", 2)
    if not (days.isascii() and days.isdigit()):
        raise CONSOLE_FORM(field="days", why=f"1 – {tokens.MOST_DAYS}")
    wanted = tokens.wanted(ask.viewer.account.id, ask.field("label", tokens.MOST_LABEL), int(days), ask.now)
    with ask.desk.changing(ask.viewer) as change:
        sessions.check_fresh(change, ask.viewer, ask.now)
        text, _ = tokens.make(change, wanted)
    return _tokens(ask, text)


def _tokens(ask: Ask, made: str = "") -> Shown:
    with ask.desk.accounts() as rows:
        mine = tokens.listed(rows, ask.viewer.account.id, ask.now)
    values = {"tokens": mine, "made": made, "days": tokens.DAYS, "most": tokens.MOST_DAYS}
    return Shown("tokens.html", values)


def revoke_token(ask: Ask) -> Moved:
    with ask.desk.changing(ask.viewer) as change:
        tokens.revoke(change, ask.viewer.account.id, ask.path["mark"][:64])
    return Moved(f"{_HERE}/tokens", "token-revoked")


PAGES = (
    Page("/account", account, May.ENTER, N_("My account"), Menu.MINE),
    Page("/account/factors", factors, May.ENTER, N_("Password and codes")),
    Page("/account/factors", set_factors, May.ENTER, method="POST", page_only="a factor is set by its person"),
    Page("/account/others", end_others, May.ENTER, method="POST", page_only="a token ends no session of its person"),
    Page("/account/tokens", tokens_page, May.ENTER, N_("Access tokens")),
    Page("/account/tokens", add_token, May.ENTER, method="POST", page_only="a token makes no token"),
    Page("/account/tokens/{mark}/revoke", revoke_token, May.ENTER, method="POST", operation="revokeToken"),
)
