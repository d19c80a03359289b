"""Says of each command what it does to an instance, and so who may give it.

A new command needs a line here; a test compares the table with the commands. A line `COMMAND --OPTION` is for a command
that does something else with that option.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from security.grants.approvals import Role


class Duty(Enum):
    """`NONE` and `RUNS` take no person. `READS` takes none either: the database is opened read-only, and the modes of
    the files decide. `ROUTINE` may run unattended, by a timer: a person is optional."""

    NONE = "touches no instance, or makes one"
    RUNS = "runs the instance's own processes, which act as `gateway`"
    READS = "only reads"
    ROUTINE = "repeats what the instance does by itself"
    DISCLOSES = "reads bodies, or takes entries out of the log; logged"
    CHANGES = "changes the instance; logged"


ROLES: Final[Mapping[Duty, frozenset[Role]]] = {
    Duty.ROUTINE: frozenset({"officer", "operator"}),
    Duty.DISCLOSES: frozenset({"officer", "operator", "auditor"}),
    Duty.CHANGES: frozenset({"officer", "operator"}),
}

_OF: Final[Mapping[Duty, str]] = {
    Duty.NONE: """
        demo, bench, bundle, setup
        access sign
        agent init, agent run, agent check, agent status, agent queue, agent retry, agent discard, agent settle
        backup check, restore from, machine join
        client call, client soap, client token, client feed, client feed-check, client feed-export,
        client file-send, client file-fetch,
        client handling list, client handling show, client case list, client case show, client case open
        client case answer, client case acknowledge, client case close, client case withdraw, client case remind
        client reconcile, client prove, client checkpoints
        client transfers, client accept-log, client keygen, client install, client join, client my-calls
        contract import-wsdl, contract import-openapi, contract import-csv, contract import-xlsx
        contract new, contract try, contract check
        contract deadline
        witness key, witness add-log, witness status, witness run
    """,
    Duty.RUNS: "up",
    Duty.READS: """
        feed subscriptions list, feed subscriptions show, feed readers, doctor, scorecard, catalogue, indicator list
        watch list, watch findings, machine list
        conform suite, conform provider, conform caller, conform certificate
        queue list, queue show, queue bulk preview, queue bulk show
        sandbox list, sandbox fault list
        access list, access review, access show, access explain, access matrix, access who
        audit verify, audit show, audit origins, audit search, audit journey, audit watch, audit stamps
        ca show, console user list, console token list, contract diff, contract show, keys show
        registry show, registry keys, registry handout
        report list, report show, route list, route explain, route check, handling list, handling show
        case list, case show
        restore confirm, schema back, vault status, vault hold list, vault expire --dry-run
    """,
    Duty.ROUTINE: "reload, audit stamp, backup make, ca crl, drill restore, registry refresh, report make, watch test",
    Duty.DISCLOSES: """
        audit body, audit export, audit package, audit reconcile, audit search --csv, feed read
        indicator show, indicator missing
    """,
    Duty.CHANGES: """
        access propose, access approve, access refuse, access revoke, access suspend, access resume
        access review --officer
        audit reindex, ca renew, contract publish,
        enrol, move
        console user add, console user link, console user roles, console user disable, console user enable
        console token add, console token revoke, console repair, drill failover
        feed subscriptions pause, feed subscriptions resume, feed subscriptions end, feed rotate-key
        handling step
        machine invite, machine drain, machine remove, machine alone
        keys rotate, keys protect, restore confirm --by
        indicator define
        conform provider --certify, conform caller --certify
        sandbox clock, sandbox invite, sandbox withdraw, sandbox expel, sandbox fault order, sandbox fault reset
        registry apply, registry accept, registry suspend, registry resume, registry enrol, registry revoke
        schema back --reason
        queue settle, queue retry, queue discard, queue cancel
        queue bulk start, queue bulk stop, queue bulk resume
        watch acknowledge
        vault expire, vault hold add, vault hold release, vault lost, vault move
        case open, case answer, case acknowledge, case close, case withdraw, case remind
    """,
}
DUTIES: Final[Mapping[str, Duty]] = {
    name: duty
    for duty, names in _OF.items()
    for name in (each.strip() for each in names.replace("\n", ",").split(","))
    if name
}


def duty_of(command: str, given: Mapping[str, object]) -> Duty:
    """What the command does with these options. One that the table does not have counts as a change."""
    for name, duty in DUTIES.items():
        of, _, option = name.partition(" --")
        if option and of == command and given.get(option.replace("-", "_")):
            return duty
    return DUTIES.get(command, Duty.CHANGES)


def takes_person(command: str) -> bool:
    """Whether the command does, with some option, what somebody has to answer for."""
    duties = [duty for name, duty in DUTIES.items() if name.partition(" --")[0] == command]
    return not duties or any(duty in ROLES for duty in duties)
