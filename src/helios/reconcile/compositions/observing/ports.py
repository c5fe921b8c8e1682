"""What looks at one kind of resource, and what it is told and tells."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from helios.kernel import secret
from helios.reconcile.compositions import composition, model


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One resource to look at.

    Attributes:
        client_id, stack_id, environment: of the stack that it belongs to.
        resource: as it is declared; of `expects` only the names say what to look at.
        credentials: the values of those it is declared with, by name.
    """

    client_id: str
    stack_id: str
    environment: str = "prod"
    resource: composition.Resource
    credentials: Mapping[str, secret.Secret] = {}

    def text(self, *names: str) -> str | None:
        """The first of these settings that is a text, and not empty."""
        for name in names:
            value = self.resource.settings.get(name)
            if isinstance(value, str) and value:
                return value
        return None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a resource brought.

    Attributes:
        state: `absent` only when the other side says so itself.
        value: `healthy` and the fields of `expects` that could be read.
        unknown: fields that could not.
        kind: how it is known; None: as a direct read if anything is known.
        pause_s: the other side wants to be left alone that long.
        outlook: what is known of how long it lasts.
    """

    state: model.Presence
    value: Mapping[str, Any] | None = None
    unknown: tuple[str, ...] = ()
    detail: str = ""
    kind: model.EvidenceKind | None = None
    pause_s: float | None = None
    outlook: model.Outlook | None = None


class ResourceCheck(Protocol):
    """Looks at resources of one kind. Reads only."""

    async def check(self, asked: Asked) -> Told:
        """What is known of the resource.

        Raises:
            HeliosError: it cannot be looked at; that makes it unknown.
        """
        ...


def unknown(detail: str, *, pause_s: float | None = None) -> Told:
    """It could not be looked at."""
    return Told(state="unknown", detail=detail, pause_s=pause_s)


def absent(detail: str) -> Told:
    """Whoever would have it says that there is none."""
    return Told(state="absent", detail=detail)
