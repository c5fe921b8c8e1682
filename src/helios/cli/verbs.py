"""Which verbs there are: where each is found, and its line in `helios --help`.

The lines stand here and not with the verbs, so that neither the help nor the completion of a shell
has to load fifty modules. Beside the longest name a line has 59 characters in a terminal of 80.
"""

import difflib
from typing import NamedTuple


class Verb(NamedTuple):
    """One verb.

    Attributes:
        target: `module:attribute` of its click command, below `helios.cli`.
        line: what it is for.
    """

    target: str
    line: str


GROUPS = {
    "Begin": {
        "demo": Verb("demo:demo", "Watch contracts judge a live load that has faults."),
        "demo-clouds": Verb(
            "demo_clouds:demo_clouds", "Try AWS, Google Cloud and Azure without an account."
        ),
        "reconcile": Verb("reconcile:reconcile", "Judge the events of files by a contract."),
        "overview": Verb(
            "overview:overview", "Print what flows, what needs attention, what is new."
        ),
        "why": Verb("why:why", "Tell why something is as it is, from its first event on."),
    },
    "Events and log": {
        "append": Verb("events:append", "Append one event, or those of a file."),
        "events": Verb("events:events", "Read the log: list, search, follow."),
        "mirror": Verb("mirror:mirror", "Print events of the last 30 days by their own time."),
        "dead-letters": Verb(
            "dead_letters:dead_letters", "What could not be taken: look, mend, try it again."
        ),
        "commands": Verb("control:commands", "Commands to the control bus."),
        "correlations": Verb("control:correlations", "Commands and events that belong together."),
        "subscribers": Verb("subscribers:subscribers", "Who gets events out of the log."),
        "log": Verb("log:log", "Check that the log is whole."),
    },
    "Streams": {
        "contracts": Verb("contracts:contracts", "Declare what must hold."),
        "verdicts": Verb("verdicts:verdicts", "How keys stand: list, show, judge again."),
        "alerts": Verb("alerts:alerts", "Print what was told of keys that do not match."),
    },
    "Stacks": {
        "apply": Verb("apply:apply", "Declare what files hold, stacks and all else."),
        "state": Verb("state:state", "How declared stacks stand; export and import."),
        "drift": Verb("drift:drift", "Where declared stacks part from what is so."),
        "predict": Verb("predict:predict", "Print what will drift, when and why."),
        "policy": Verb("policies:policy_", "What may be done about drift of a stack."),
        "notify": Verb("notify:notify", "How people are told of drift and of healing."),
        "wait": Verb("healing:wait", "Wait until a condition of a stack holds."),
        "history": Verb("versions:history", "Print the versions of a stack, newest first."),
        "rollback": Verb("versions:rollback", "Declare an earlier version again, and stay at it."),
        "pin": Verb("versions:pin", "Stay at a version: other content is refused."),
        "unpin": Verb("versions:unpin", "Take new versions of a stack again."),
        "env": Verb("versions:env", "Compare environments, and carry versions on."),
    },
    "Healing": {
        "plan": Verb("plans:plan", "Show what would be done about drift, without doing it."),
        "apply-plan": Verb("plans:apply_plan", "Carry out a plan as it was shown, or not at all."),
        "cancel-plan": Verb("plans:cancel_plan", "Give up a plan; its drifts are left to people."),
        "approvals": Verb("approvals:approvals", "What waits for somebody's agreement."),
        "approve": Verb("approvals:approve", "Agree to a plan, as it is shown."),
        "reject": Verb("approvals:reject", "Refuse a plan; its drifts are left to people."),
        "heal": Verb("healing:heal", "Heal drifts of a stack now."),
        "reconcile-stack": Verb(
            "healing:reconcile_stack", "Reconcile a stack now, before its turn or a backoff."
        ),
        "pause": Verb("healing:pause", "Heal nothing of a stack until it is resumed."),
        "resume": Verb("healing:resume", "Go on with a stack that was paused."),
        "guards": Verb("guards:guards", "What stops healing: breakers, fuses, switches, windows."),
        "audit": Verb("audit:audit", "Who did what, when, why and with whose agreement."),
    },
    "Sources and builds": {
        "sources": Verb("sources:sources", "Declare where events come from."),
        "providers": Verb("providers:providers", "What a source can be of."),
        "webhooks": Verb("webhooks:webhooks", "Understand what senders post."),
        "content": Verb("content:content", "What providers hold, in one schema."),
        "sites": Verb("sites:sites", "Sites that are rebuilt when their content changes."),
        "builds": Verb("sites:builds", "What became of builds."),
    },
    "Access": {
        "login": Verb("login:login", "Sign in, and stay so until `helios logout`."),
        "logout": Verb("login:logout", "Close the session of `helios login`."),
        "whoami": Verb("login:whoami", "Print who you are to the server, and what you may do."),
        "users": Verb("users:users", "Who may sign in, and what they may do."),
        "tokens": Verb("access:tokens", "Service tokens, by which programs show who they are."),
        "sessions": Verb("access:sessions", "Where people are signed in."),
    },
    "Settings": {
        "config": Verb("config:config", "What is set, where it comes from, and how to change it."),
        "secrets": Verb(
            "secrets:secrets", "Keep secrets in the data folder; none is ever printed."
        ),
    },
    "Server": {
        "serve": Verb("serve:serve", "Serve the API and the console, keep views, judge."),
        "health": Verb("health:health", "Print each check of a server."),
        "views": Verb("views:views", "What is folded from the log: look, verify, rebuild."),
        "graphql": Verb("graphql:graphql", "Ask a question in GraphQL, and print the answer."),
    },
}
"""What people do -> verb -> what it is. A new verb is one more line."""

ALL = {name: verb for group in GROUPS.values() for name, verb in group.items()}

WIDEST = max(map(len, ALL))

MEANT = {
    "list": ("overview", "events"),
    "run": ("serve", "demo"),
    "search": ("events",),
    "settings": ("config",),
    "start": ("serve", "demo"),
    "status": ("overview", "state", "health"),
    "tail": ("events",),
}
"""Words that other programs have for what is called otherwise here."""


def meant(word: str) -> list[str]:
    """The verbs that somebody may have meant by a word that is none, likeliest first."""
    close = difflib.get_close_matches(word.lower(), ALL)
    return [*dict.fromkeys((*MEANT.get(word.lower(), ()), *close))][:3]
