"""Grants, as they are written on the command line: `operator@acme/production`."""

import re
from typing import Any

import click

from helios.access import model
from helios.api.routes import access_desk as desks

_GRANT = re.compile(r"(?P<role>[^@/]+)(?:@(?P<tenant>[^/]+)(?:/(?P<environment>.+))?)?")


class Grant(click.ParamType[dict[str, str]]):
    """`ROLE`, `ROLE@CLIENT` or `ROLE@CLIENT/ENVIRONMENT`; what is left out is all of them."""

    name = "role[@client[/environment]]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        found = _GRANT.fullmatch(value)
        if found is None or found["role"] not in model.ROLES:
            self.fail(
                f"{value!r}: expected one of {', '.join(model.ROLES)}, such as operator@acme or "
                "admin@acme/production",
                param,
                ctx,
            )
        return {
            "role": found["role"],
            "tenant": found["tenant"] or model.ALL,
            "environment": found["environment"] or model.ALL,
        }


option = click.option(
    "--grant", "grants", multiple=True, type=Grant(), help="What they may do; several times."
)


def text(grants: list[desks.GrantView]) -> str:
    """Grants for people."""
    return ", ".join(
        f"{each.role}@{each.tenant}"
        + ("" if each.environment == model.ALL else f"/{each.environment}")
        for each in grants
    )
