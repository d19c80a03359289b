"""Cases between agencies: one kind of record for what one asks of, tells to, or complains about another.

    kinds       what a case may be about, who opens it, and until when it is answered (data: kinds.yaml)
    calendar    the working hours of the province
    texts       the sealed texts
    acting      opens a case and takes its steps
    repeats     an act of a system that comes again
    reading     what a person or system sees of cases
    reminding   mails before and after a deadline, in the keeper
    suspending  tells an agency of its suspension, in the keeper

Articles 4.5, 6.1c, 6.2b, 12.2 and IV/12.2 of the regulation, and the notices of NĐ 278/2025.
"""
