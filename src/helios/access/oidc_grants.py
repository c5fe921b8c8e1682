"""What the groups of an OpenID provider may do here: the setting `oidc_grants`. Pure."""

import re
from collections.abc import Iterable
from typing import get_args

import msgspec

from helios.access import model
from helios.kernel import errors

_ITEM = re.compile(
    r"""\s*(?:"(?P<quoted>[^"]+)"|(?P<plain>[^"=,\s][^"=,]*?))\s*=\s*
    (?P<role>[^@/,\s]+)
    (?:@(?P<tenant>[^@/,\s]+)(?:/(?P<environment>[^@/,\s]+))?)?
    \s*(?:,|$)""",
    re.VERBOSE,
)


class Mapped(msgspec.Struct, frozen=True):
    """A group, and what whoever is in it may do."""

    group: str
    grant: model.Grant


def parse(text: str) -> tuple[Mapped, ...]:
    """Read `helios-admins=admin@*, ops=operator@acme/production, "a, b"=viewer@acme`.

    A role stands for a tenant and an environment: without them for all. The same group may come
    several times. Names with a comma or `=` stand in double quotes.

    Raises:
        InvalidInputError: it cannot be read; says which part.
    """
    found: list[Mapped] = []
    place = 0
    while text[place:].strip():
        match = _ITEM.match(text, place)
        if match is None:
            raise errors.InvalidInputError(
                f"at `{text[place:].strip()[:60]}`: expected group=role@client/environment",
                field="oidc_grants",
            )
        found.append(Mapped(match["quoted"] or match["plain"], _grant(match)))
        place = match.end()
    return tuple(found)


def _grant(match: re.Match[str]) -> model.Grant:
    role = next((each for each in get_args(model.Role) if each == match["role"]), None)
    if role is None:
        raise errors.InvalidInputError(
            f"unknown role {match['role'][:60]}; known: {', '.join(model.ROLES)}",
            field="oidc_grants",
        )
    return model.Grant(
        role=role,
        tenant=match["tenant"] or model.ALL,
        environment=match["environment"] or model.ALL,
    )


def of(mapped: Iterable[Mapped], groups: Iterable[str]) -> tuple[model.Grant, ...]:
    """What somebody may do who is in these groups, each grant once; groups compare exactly."""
    held = frozenset(groups)
    return tuple(dict.fromkeys(each.grant for each in mapped if each.group in held))
