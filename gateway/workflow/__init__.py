"""Handles messages (articles 11.2, 12.2 and 13.3 of the regulation): each message of an operation that a contract's
`workflow.yaml` names has one handling, at the competent agency.

What pages, APIs, commands and reports use:

    reading.page(connection, sought, after, limit)   handlings, the nearest deadline first; `Sought`, `Page`
    reading.counts(connection, agency, now)          how many are open and overdue, by agency
    reading.one(connection, office, id)              one with its steps, deadlines and possible steps; `Seen`
    reading.of_transfer(connection, transfer)        the handlings of a message
    acting.act(office, id, wanted, actor)            takes a step, `@open` for another agency too; `Wanted`, `Actor`
    records.Office                                   what these need: engine, registry, vault, hash_id, clock
    terms.terms_of(workflow, row, steps)             the deadlines with each minute that counts or not

A row is a `gateway.journal.write.HandlingRow`, a step a `HandlingStep`.
"""
