"""What the API and the composition root work with."""

from collections.abc import Awaitable, Callable, Sequence

import argon2
import msgspec

from helios.access import (
    following,
    limiting,
    passwords,
    people,
    ports,
    sessions,
    signing,
    tokens,
    view,
    writing,
)
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import ids, offload
from helios.projections import ports as view_ports


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who may do what.

    Attributes:
        follower: its `run` keeps the directory up to date; nobody is known before it runs.
        sessions: signing in, and who shows what.
        people: users and service tokens.
        keep: the secrets of access.
    """

    follower: following.Follower
    sessions: sessions.Desk
    people: people.Desk
    keep: ports.Keep


def made(
    log: log_ports.EventLog,
    store: view_ports.ViewStore,
    keep: ports.Keep,
    *,
    visible: Callable[[str, envelope.Position], Awaitable[object]],
    threads: Sequence[offload.Offload],
    clock: clocks.Clock,
    id_source: ids.Ids,
    random: Callable[[int], bytes],
    hasher: argon2.PasswordHasher | None = None,
) -> Access:
    """Put it together; nothing is read yet.

    Args:
        log: where the events of access are.
        store: where their view is.
        keep: the secrets, shared by all processes.
        visible: returns when a view shows a position.
        threads: where passwords are checked, as many at once.
        clock: for times.
        id_source: for ids.
        random: so many bytes that nobody can guess.
        hasher: of passwords; None: argon2id as RFC 9106 has it for little memory.
    """
    limits = limiting.Limits(clock)
    follower = following.Follower(
        log,
        store,
        visible=lambda position: visible(view.NAME, position),
        counts=limits,
        clock=clock,
    )
    writer = writing.Writer(log, follower, clock=clock, id_source=id_source)
    kept = passwords.Passwords(keep, threads, hasher)
    desk = sessions.Desk(
        follower=follower,
        writer=writer,
        keep=keep,
        kept=kept,
        signer=tokens.AccessTokens(signing.Keys(keep, clock, random), clock),
        limits=limits,
        clock=clock,
        id_source=id_source,
        random=random,
    )
    managing = people.Desk(
        follower=follower, writer=writer, kept=kept, limits=limits, clock=clock, random=random
    )
    return Access(follower=follower, sessions=desk, people=managing, keep=keep)
