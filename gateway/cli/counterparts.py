"""Says of each command by which page and operation people do the same in the console, or why it stays with the host.

A new command needs a line here; a test compares the table with the commands, the pages and the API. The page
`docs/commands.md` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple


class AtHost(Enum):
    """Why a command has no page. Each text completes "Not in the console: "."""

    PROCESSES = "it starts or replaces processes of this host."
    OWN_INSTANCE = "it makes an instance of its own, and touches no other."
    CHECKOUT = "it packs the source checkout, and touches no instance."
    STANDBY = "it is for when nothing can be written, so no page can do it; doctor and log show the decision."
    KEYS = "it uses private keys of the instance, which stay on the host; the console shows their state."
    MACHINES = "machines are added and taken away where their folders and keys are."
    BACKUPS = "it reads and writes the files and keys of the whole instance."
    SIGNER = "it uses a private key of a person, which no server has."
    ALTERED = "what was edited in the database is judged where nobody needs these rows to sign in."
    SUITES = "it prints a suite for an editor."
    DRAFTS = "it writes draft files for an editor; a finished folder is uploaded."
    TRIES = "it waits for the answers of those who are told."
    WHOLE_LOG = "it writes files as large as the log; systems of the centre read the same by openapi/audit.yaml."
    WATCH = "it keeps checkpoints of its own, best on another host."
    RETENTION = "the keeper does it by itself; a page shows what is due."
    AGENCY = "it runs at an agency."
    WITNESS = "it runs at a witness."
    SANDBOX = "only a sandbox has it: pages and operations below `/sandbox` do the same."


class Counterpart(NamedTuple):
    """A page, as a path below `/console`, and the operations of `openapi/management.yaml` behind it."""

    page: str
    operations: tuple[str, ...]


_AT_HOST: Final[Mapping[AtHost, str]] = {
    AtHost.PROCESSES: "up, reload, drill failover",
    AtHost.STANDBY: "machine alone",
    AtHost.OWN_INSTANCE: "demo, bench, setup",
    AtHost.CHECKOUT: "bundle",
    AtHost.KEYS: """
        ca renew, ca crl, keys rotate, keys protect, feed rotate-key, conform provider, conform caller,
        conform certificate
    """,
    AtHost.MACHINES: "machine invite, machine join, machine list, machine drain, machine remove",
    AtHost.BACKUPS: """
        backup make, backup check, restore from, restore confirm, move, vault move, vault lost, schema back,
        drill restore
    """,
    AtHost.SIGNER: "access sign",
    AtHost.ALTERED: "registry accept, console repair",
    AtHost.SUITES: "conform suite",
    AtHost.DRAFTS: "contract import-wsdl, contract import-openapi, contract import-csv, contract import-xlsx, "
    "contract new, contract deadline",
    AtHost.WHOLE_LOG: "audit export",
    AtHost.WATCH: "audit watch",
    AtHost.TRIES: "watch test",
    AtHost.RETENTION: "vault expire",
    AtHost.AGENCY: """
        agent init, agent run, agent check, agent status, agent queue, agent retry, agent discard, agent settle
        client call, client soap, client token, client feed, client feed-check, client feed-export
        client file-send, client file-fetch, client transfers, client reconcile
        client handling list, client handling show, client case list, client case show, client case open
        client case answer, client case acknowledge, client case close, client case withdraw, client case remind
        client prove, client checkpoints, client accept-log, client keygen, client install, client join, client my-calls
    """,
    AtHost.SANDBOX: """
        sandbox clock, sandbox invite, sandbox list, sandbox withdraw, sandbox expel,
        sandbox fault order, sandbox fault list, sandbox fault reset
    """,
    AtHost.WITNESS: "witness key, witness add-log, witness status, witness run",
}
# Command, page, operations. A page that alone does it has no operation.
_IN_CONSOLE: Final = """
    doctor | /doctor | readDoctor
    report make | /reports | makeReport
    report list | /reports | listReports
    report show | /reports/{report} | readReport, readReportDocument
    scorecard | /scorecards/{system} | listScorecards, readScorecard
    watch list | /watch | listAlarms
    watch acknowledge | /watch/{alarm}/acknowledge | acknowledgeAlarm, acknowledgeFinding
    watch findings | /doctor | readDoctor
    catalogue | /catalogue | readCatalogue
    case list | /cases | listCases
    case show | /cases/{case} | readCase
    case open | /cases/new | openCase
    case answer | /cases/{case}/{act} | takeCaseStep
    case acknowledge | /cases/{case}/{act} | takeCaseStep
    case close | /cases/{case}/{act} | takeCaseStep
    case withdraw | /cases/{case}/{act} | takeCaseStep
    case remind | /cases/{case}/{act} | takeCaseStep
    indicator list | /indicators/definitions | listIndicators
    indicator define | /indicators/definitions/new | defineIndicators
    indicator show | /indicators/{code} | readIndicators
    indicator missing | /indicators | readIndicators
    access list | /access/grants | listGrants, listProposals, listOfficers
    access show | /access/grants/{id} | readGrant, readProposal
    access propose | /access/proposals/new | proposeGrant
    access approve | /access/proposals/{subject:path} | signProposal
    access refuse | /access/refuse/{subject:path} | refuseProposal
    access revoke | /access/grants/{id}/revoke | revokeGrant, revokePasskey
    access suspend | /access/grants/{id}/suspend | suspendGrant
    access resume | /access/grants/{id}/resume | resumeGrant
    access review | /access/reviews | listReviews, recordReview
    access explain | /access/matrix | readMatrix, explainRefusal
    access matrix | /access/matrix | readMatrix
    access who | /access/who | listReceivers
    audit verify | /log/verify | verifyLog, readLog
    audit origins | /log | readLog
    audit stamps | /log/stamps/{id} | readLog, readStamp
    audit stamp | /log/stamp | stampLog
    audit reindex | /log/reindex | reindexLog
    audit reconcile | /reconciliation | compareCounts
    audit search | /search | searchEntries, exportEntries
    audit show | /transfers/{id} | readJourney
    audit journey | /transfers/{id} | readJourney
    audit body | /transfers/{id}/message | openBody
    audit package | /transfers/{id}/package | makePackage
    feed read | /transfers/{id}/message | searchEntries, openBody
    feed readers | /readers | listFeedReaders
    feed subscriptions list | /subscriptions | listPushes
    feed subscriptions show | /subscriptions/{subscription} | readPush
    feed subscriptions pause | /subscriptions/{subscription}/{how} | decidePush
    feed subscriptions resume | /subscriptions/{subscription}/{how} | decidePush
    feed subscriptions end | /subscriptions/{subscription}/{how} | decidePush
    ca show | /keys | readKeys
    keys show | /keys | readKeys
    console user add | /people |
    console user link | /people/{id}/link |
    console user list | /people | listAccounts
    console user roles | /people/{id}/roles | setAccountRoles
    console user disable | /people/{id}/state | setAccountState
    console user enable | /people/{id}/state |
    console token add | /account/tokens |
    console token list | /account/tokens | listTokens
    console token revoke | /account/tokens/{mark}/revoke | revokeToken
    contract show | /contracts | listContracts, readContract
    contract check | /contracts/drafts/new | checkContract
    contract diff | /contracts/{id}/v{major}/versions | compareVersions
    contract try | /contracts/{id}/v{major}/try | tryMessage
    contract publish | /contracts/drafts/{draft}/hand-in | handInDraft
    queue list | /queue | listQueue
    queue show | /queue/{transfer} | readQueuedMessage
    queue settle | /queue/{transfer}/{act} | settleMessage
    queue retry | /queue/{transfer}/{act} | settleMessage
    queue discard | /queue/{transfer}/{act} | settleMessage
    queue cancel | /queue/{transfer}/{act} | settleMessage
    queue bulk preview | /queue/bulk | previewBulkRetry
    queue bulk start | /queue/bulk | startBulkRetry
    queue bulk show | /queue/bulk/{job} | readBulkRetry
    queue bulk stop | /queue/bulk/{job}/{how} | moveBulkRetry
    queue bulk resume | /queue/bulk/{job}/{how} | moveBulkRetry
    registry show | /systems | listAgencies, listSystems, readDocument
    registry keys | /systems/{system} | readSystem
    registry handout | /systems/{system}/handout | readHandout
    registry apply | /registry/document | previewDocument, applyDocument
    registry enrol | /systems/{system}/enrol | enrolSystem, readEnrolment
    enrol | /systems/{system}/enrol | enrolSystem, readEnrolment
    registry revoke | /systems/{system}/revoke | revokeSystemKeys
    registry suspend | /systems/{system}/suspend | suspendAgency, suspendSystem
    registry resume | /systems/{system}/resume | resumeAgency, resumeSystem
    registry refresh | /keys/outside | askAuthorities
    handling list | /handlings | listHandlings
    handling show | /handlings/{id} | readHandling
    handling step | /handlings/{id}/steps | takeHandlingStep
    route list | /routes | listRoutes
    route explain | /routes | findRoute
    route check | /routes | listRoutes
    vault status | /vault | readVault
    vault hold add | /vault/holds | addHold
    vault hold release | /vault/holds/{hold}/release | releaseHold
    vault hold list | /vault | readVault
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.replace("\n", ",").split(",") if each.strip())


def _rows() -> dict[str, Counterpart | AtHost]:
    rows: dict[str, Counterpart | AtHost] = {}
    for line in filter(None, map(str.strip, _IN_CONSOLE.splitlines())):
        command, page, operations = (each.strip() for each in line.split("|"))
        assert command not in rows, command
        rows[command] = Counterpart(page, _words(operations))
    for why, commands in _AT_HOST.items():
        for command in _words(commands):
            assert command not in rows, command
            rows[command] = why
    return rows


COUNTERPARTS: Final[Mapping[str, Counterpart | AtHost]] = _rows()


def told(command: str) -> str:
    """The line of a command for docs/commands.md."""
    found = COUNTERPARTS[command]
    if isinstance(found, AtHost):
        return f"Not in the console: {found.value}"
    operations = " and ".join(f"`{each}`" for each in found.operations)
    page = f"In the console: `/console{found.page.replace(':path', '')}`"
    return f"{page}; over the API: {operations}." if operations else f"{page} alone."
