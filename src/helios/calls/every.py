"""All parts of the client's methods, as one class to build on."""

from helios.calls import (
    access,
    audit,
    configuration,
    console,
    control,
    healing,
    letters,
    live,
    mirror,
    notices,
    predictions,
    sites,
    stacks,
    subscribers,
    why,
)


class Calls(
    sites.SiteCalls,
    subscribers.SubscriberCalls,
    letters.LetterCalls,
    mirror.MirrorCalls,
    notices.NoticeCalls,
    control.ControlCalls,
    stacks.StackCalls,
    predictions.PredictionCalls,
    healing.HealCalls,
    why.WhyCalls,
    audit.AuditCalls,
    configuration.ConfigurationCalls,
    live.LiveCalls,
    access.AccessCalls,
    console.ConsoleCalls,
):
    """What the client offers, but how it reaches a server."""
