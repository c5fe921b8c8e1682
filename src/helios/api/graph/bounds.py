"""Every bound of GraphQL; above each the request is refused (400) before anything is read."""

BODY_BYTES_MAX = 100_000
"""One request. Above: refused (413)."""

TOKENS_MAX = 2_000
"""Words and signs of a document, without white space and comments."""

NESTING_MAX = 16
"""Brackets within brackets, whatever stands in them."""

NAME_CHARS_MAX = 100
"""Characters of a name."""

DEPTH_MAX = 10
"""Fields within fields; `ofType` of the introspection is not counted."""

COST_MAX = 10_000
"""Fields that may be answered: each counts one, those of a list once for each of `first`."""

LIST_COST = 10
"""How long a list is taken to be that has no `first`."""

ALIASES_MAX = 100
"""Fields that have another name in the answer, or that come twice in a selection."""

FRAGMENTS_MAX = 50
"""Fragments of a document."""

SPREADS_MAX = 10
"""Fragments that are spread within fragments."""

INTROSPECTIONS_MAX = 5
"""`__schema` and `__type` of a request."""

OPERATIONS_MAX = 10
"""Operations of a document; one of them is run."""

FIRST_MAX = 100
"""Items of one page of a list."""

FIRST = 20
"""The same, where a query does not say."""

SECONDS_MAX = 5.0
"""How long a query may take. Above: refused (504), and what it still reads is given up."""

ERRORS_MAX = 50
"""Errors that an answer tells of."""

EFFECTS_SCANNED_MAX = 5_000
"""Events after one that are looked through for what it led to."""

CAUSATION_DEPTH_MAX = 10
"""Steps back or forth in a causation graph."""

CAUSATION_NODES_MAX = 200
"""Events of one causation graph."""

COSTS = {("Event", "effects"): 200, ("Event", "causes"): 50, ("Stack", "record"): 20}
"""Fields that cost more than one."""
