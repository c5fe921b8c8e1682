"""Screens of the console that have a list, and what the API has for the same."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from helios.testing import browsing_data


class List(msgspec.Struct, frozen=True, kw_only=True):
    """A screen with a list.

    Attributes:
        path: of the screen.
        table: its name.
        ask: what the API is asked for the same; `{filter}` where it filters itself.
        key, values: what is filtered by; both values are there.
        of: the value of an item, where the API does not filter.
        id: what the link of an item's row holds.
    """

    path: str
    table: str
    ask: str
    key: str
    values: tuple[str, str]
    id: Callable[[Any], str]
    of: Callable[[Any], str] | None = None

    def __str__(self) -> str:
        return self.path


SITES, SOURCES, LETTERS = (browsing_data.TWO[each] for each in ("sites", "sources", "dead letters"))
LISTS = (
    List(
        path="/events",
        table="Events",
        ask="/search/events?filter={filter}",
        key="source",
        values=("gcp", "azure"),
        id=lambda event: f"sel={event['position']}",
    ),
    List(
        path="/streams",
        table="Verdicts",
        ask="/verdicts?filter={filter}",
        key="status",
        values=("partial", "mismatched"),
        id=lambda verdict: verdict["key"],
    ),
    List(
        path="/stacks",
        table="Stacks",
        ask="/stacks/board",
        key="stack",
        values=browsing_data.TWO["stacks"],
        id=lambda stack: f"{stack['client_id']}/{stack['stack_id']}",
        of=lambda stack: stack["stack_id"],
    ),
    List(
        path="/stacks/drifts",
        table="Drifts",
        ask="/drifts?filter={filter}",
        key="stack",
        values=browsing_data.TWO["stacks"],
        id=lambda drift: drift["drift_id"],
    ),
    List(
        path="/views",
        table="Views",
        ask="/views",
        key="view",
        values=("access", "audit"),
        id=lambda view: f"sel={view['view']}",
        of=lambda view: view["view"],
    ),
    List(
        path="/healing",
        table="Heals",
        ask="/heals?filter={filter}",
        key="target",
        values=("provider/ssg", "provider/cms"),
        id=lambda heal: heal["action_id"],
    ),
    List(
        path="/approvals",
        table="Approvals",
        ask="/approvals",
        key="stack",
        values=browsing_data.TWO["stacks"],
        id=lambda approval: approval["approval_id"],
        of=lambda approval: approval["stack_id"],
    ),
    List(
        path="/dead-letters",
        table="Groups of dead letters",
        ask="/dead-letters/groups",
        key="source",
        values=LETTERS,
        id=lambda group: f"{group['client_id']}/{group['source']}/",
        of=lambda group: group["source"],
    ),
    List(
        path="/ingest",
        table="Sources",
        ask="/sources",
        key="name",
        values=SOURCES,
        id=lambda source: f"{source['client_id']}/{source['name']}",
        of=lambda source: source["name"],
    ),
    List(
        path="/builds",
        table="Sites",
        ask="/sites",
        key="site",
        values=SITES,
        id=lambda site: f"{site['client_id']}/{site['name']}",
        of=lambda site: site["name"],
    ),
    List(
        path="/builds?tab=builds",
        table="Builds",
        ask="/builds",
        key="site",
        values=SITES,
        id=lambda build: build["id"],
        of=lambda build: build["site"],
    ),
    List(
        path="/audit",
        table="Audit",
        ask="/audit?filter={filter}",
        key="action",
        values=("PolicyDeclared", "ApprovalRequested"),
        id=lambda entry: entry["entry_id"],
    ),
    List(
        path="/audit?tab=access",
        table="Access and settings",
        ask="/search/events?filter=client:helios {filter}",
        key="type",
        values=("UserInvited", "SessionOpened"),
        id=lambda event: f"sel={event['position']}",
    ),
    List(
        path="/settings/users",
        table="Users",
        ask="/users",
        key="name",
        values=("olga", "vera"),
        id=lambda user: user["id"],
        of=lambda user: user["name"],
    ),
)


def told(served: browsing_data.Served, of: List, values: Sequence[str]) -> list[str]:
    """What the API has for the same filter."""
    path = of.ask.format(filter=f"{of.key}:{','.join(values)}")
    answer = served.http.get(f"/api/v1{path}")
    assert answer.is_success, answer.text
    items = next(found for found in answer.json().values() if isinstance(found, list))
    return [of.id(each) for each in items if of.of is None or of.of(each) in values]


def same(shown: Sequence[str], told: Sequence[str]) -> bool:
    """Whether links of rows are those of what was told; of long lists, of the rows in sight."""
    if len(shown) < len(told):  # The rest is scrolled away.
        told = told[: len(shown)] if len(shown) > 10 else ()
    return len(shown) == len(told) and all(any(one in link for link in shown) for one in told)
