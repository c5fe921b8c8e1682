"""Who asks for something, where a request may say so itself."""

import re

from helios.api import web
from helios.kernel import acting, errors
from helios.reconcile.compositions import events

_ACTOR = re.compile(r"(?:(?:user|service):)?[\w.@+-]{1,120}", re.ASCII)


def actor_of(request: web.Request) -> str:
    """Who asks: who is signed in; where access is switched off, whoever the header names.

    Raises:
        InvalidInputError: the header is not a name.
        ForbiddenError: it names somebody else than who is signed in.
    """
    return _speaks(request, request.header(b"helios-actor"), "Helios-Actor")


def actor_or(request: web.Request, text: str | None) -> str:
    """Who asks, as a body says it or else the header. Raises as `actor_of`."""
    return actor_of(request) if text is None else _speaks(request, text, "actor")


def _speaks(request: web.Request, text: str | None, field: str) -> str:
    principal = request.principal
    named = actor(text, field)
    if principal.speaks:
        return named
    if text is not None and named != principal.actor:
        raise errors.ForbiddenError(f"{field}: you are {principal.actor}, not {named[:80]}")
    return principal.actor


def actor(text: str | None, field: str) -> str:
    """A person or service by its name.

    Raises:
        InvalidInputError: it is none, or the reconciler's, which speaks for itself only.
    """
    if text is None:
        return acting.current()
    if not _ACTOR.fullmatch(text) or text == events.ACTOR:
        raise errors.InvalidInputError(
            f"{text[:40]!r}; expected a name such as ada, user:ada or service:ci", field=field
        )
    return text if ":" in text else f"user:{text}"
