"""What the API and the composition root work with."""

import msgspec

from helios.access import following, people, ports, sessions


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
