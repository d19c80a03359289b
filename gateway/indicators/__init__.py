"""Indicators of the province (articles 6.1c, 11.1, 12.4 and 14.2 of the regulation): what is measured, and its values.

    periods      years, quarters and months, as SDMX names them
    definitions  what an indicator is: unit, frequency, areas, owner, formula, and from which period on
    store        the versions of definitions, in the sealed registry
    due          when the value of a period is due, in working days
    values       the values that were handed in, from the feed of the contract `indicator`
    figures      both together: the value of each expected period, or who owes it
    monthly      what a report of some days says of them

Invariant: values lie in the feed alone. Page, API, files and reports get them from `figures`, so they are the same.
"""
