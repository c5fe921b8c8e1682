"""Paths of the console's pages, so that whatever the API tells of can be opened there.

The page keeps its state in its address, so a link may carry a filter and a client too.
"""

import urllib.parse

EVENTS = "/events"
INGEST = "/ingest"
DEAD_LETTERS = "/dead-letters"
VIEWS = "/views"
STREAMS = "/streams"
STATE = "/stacks"
DRIFTS = "/stacks/drifts"
APPROVALS = "/approvals"
HEALING = "/healing"
BUILDS = "/builds"


def listed(path: str, *, filter: str = "", client_id: str | None = None) -> str:  # noqa: A002
    """A list, narrowed by a filter and to a client."""
    given = {"tenant": client_id, "q": filter or None}
    query = urllib.parse.urlencode({name: value for name, value in given.items() if value})
    return f"{path}?{query}" if query else path


def event(position: int) -> str:
    """One event."""
    return f"{EVENTS}/{position}"


def source(client_id: str, name: str) -> str:
    """One source."""
    return _of_client(f"{INGEST}/{_segment(name)}", client_id)


def letter(client_id: str, letter_id: str) -> str:
    """One dead letter."""
    return _of_client(f"{DEAD_LETTERS}/{_segment(letter_id)}", client_id)


def view(name: str) -> str:
    """One view."""
    return f"{VIEWS}/{_segment(name)}"


def verdict(client_id: str, contract: str, key: str) -> str:
    """One key of a contract."""
    return _of_client(f"{STREAMS}/{_segment(contract)}/{_segment(key)}", client_id)


def stack(client_id: str, stack_id: str) -> str:
    """One stack."""
    return f"{STATE}/{_segment(client_id)}/{_segment(stack_id)}"


def drift(client_id: str, stack_id: str, drift_id: str) -> str:
    """One drift of a stack."""
    return f"{stack(client_id, stack_id)}/drift/{_segment(drift_id)}"


def plan(client_id: str, stack_id: str, plan_id: str) -> str:
    """One plan of a stack."""
    return f"{stack(client_id, stack_id)}/plans/{_segment(plan_id)}"


def approval(client_id: str, approval_id: str) -> str:
    """One approval."""
    return _of_client(f"{APPROVALS}/{_segment(approval_id)}", client_id)


def heal(client_id: str, action_id: str) -> str:
    """One action that was begun."""
    return _of_client(f"{HEALING}/{_segment(action_id)}", client_id)


def _of_client(path: str, client_id: str) -> str:
    return listed(path, client_id=client_id)


def _segment(text: str) -> str:
    return urllib.parse.quote(text, safe="")
