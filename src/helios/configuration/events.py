"""What is said in the log about settings."""

import msgspec

from helios.configuration import setting as settings
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import jsonio

SOURCE = "helios"
AGGREGATE_TYPE = "setting"
INSTALLATION = "helios"
"""Tenant of settings that hold for everybody."""

CHANGED = "SettingChanged"
RESET = "SettingReset"
TYPES = (CHANGED, RESET)
WHERE = envelope.Filter(sources=(SOURCE,), types=TYPES, aggregate_type=AGGREGATE_TYPE)


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SettingChanged`.

    Attributes:
        name: of the setting.
        client_id: for whom; `helios`: for everybody.
        value: from now on.
        previous: what was in force before.
        was_set: whether `previous` had been set in this scope; else it was the default there.
        reason: as somebody gave it.
        undoes: position of the change that this takes back.
    """

    name: str
    client_id: str
    value: settings.Value
    previous: settings.Value
    was_set: bool = True
    reason: str = ""
    undoes: int | None = None


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SettingReset`; `value` is the default that is in force from now on."""

    name: str
    client_id: str
    value: settings.Value
    previous: settings.Value
    was_set: bool = True
    reason: str = ""
    undoes: int | None = None


def made(
    payload: Changed | Reset, *, now: clocks.Timestamp, event_id: str, actor: str
) -> envelope.NewEvent:
    """The event of a change."""
    return envelope.NewEvent(
        id=event_id,
        source=SOURCE,
        type=CHANGED if isinstance(payload, Changed) else RESET,
        occurred_at=now,
        tenant=payload.client_id,
        aggregate_type=AGGREGATE_TYPE,
        aggregate_id=payload.name,
        actor=actor,
        payload=jsonio.encode(msgspec.to_builtins(payload)),
    )
