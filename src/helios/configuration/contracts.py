"""Windows and thresholds of contracts as settings. Pure.

Their truth is the contract: a change is its next version, the same document with one value
replaced, so that what judges keys is one thing, whoever changed it.
"""

from collections.abc import Mapping, Sequence

import msgspec

from helios.configuration import registry
from helios.configuration import setting as settings
from helios.kernel import durations, errors, yamldoc, yamledit
from helios.reconcile.streams import contract as streams

LEGS = "legs"
_MISSING = "on_missing"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A value of a contract that may be set.

    Attributes:
        below: the name behind that of the contract, such as `on_missing.after`.
        path: of the value in the document.
        needs: what has to stand beside it where its mapping is not there yet.
    """

    below: str
    title: str
    description: str
    acts_on: str
    kind: settings.Kind
    path: tuple[str, ...]
    least: settings.Value | None = None
    most: settings.Value | None = None
    choices: tuple[str, ...] = ()
    needs: Mapping[str, str] = {}


_OPEN = "keys that wait, and those that come"
_TOLD = "keys whose verdict comes from then on"


def fields(contract: streams.Contract) -> dict[str, Field]:
    """What may be set in a contract, by the name behind that of the contract."""
    window = contract.window
    length = "gap" if window.type == "session" else "size"
    beside = {} if length == "gap" else {"size": durations.to_text(window.size)}
    found = [
        Field(
            below="within",
            title="Window",
            description="How long events of a key are waited for, where a leg says nothing else.",
            acts_on=_OPEN if window.type == "per_key" else "windows that open from then on",
            kind="duration",
            path=("spec", "window", length),
            least="1ms",
            most="365d",
        ),
        Field(
            below="grace",
            title="Grace",
            description="How much disorder within a source is put in order.",
            acts_on=_OPEN,
            kind="duration",
            path=("spec", "window", "grace"),
            least="0s",
            most="365d",
            needs=beside,
        ),
        Field(
            below="idle_timeout",
            title="Idle timeout",
            description="A source silent for this long does not hold the others up.",
            acts_on=_OPEN,
            kind="duration",
            path=("spec", "window", "idle_timeout"),
            least="1ms",
            most="365d",
            needs=beside,
        ),
        Field(
            below="mismatch_share_max",
            title="Most keys that may not match",
            description="The share of keys that may not match; above it the contract is not met.",
            acts_on="the objective, at the next reading",
            kind="ratio",
            path=("spec", "objectives", "mismatch_rate"),
            least=0,
            most=1,
        ),
        *_missing(),
        *(_leg(leg) for leg in contract.legs),
    ]
    return {each.below: each for each in found}


def _missing() -> list[Field]:
    return [
        Field(
            below=f"{_MISSING}.after",
            title="When something is done about a key",
            description="How long after its verdict something is done about a key.",
            acts_on=_TOLD,
            kind="duration",
            path=("spec", _MISSING, "after"),
            least="0s",
            most="365d",
            needs={"action": "none"},
        ),
        Field(
            below=f"{_MISSING}.action",
            title="What is done about a key",
            description="Whether sources are asked, somebody is told, or nothing is done.",
            acts_on=_TOLD,
            kind="choice",
            path=("spec", _MISSING, "action"),
            choices=("replay_from_source", "alert", "none"),
        ),
        Field(
            below=f"{_MISSING}.max_attempts",
            title="How often a source is asked",
            description="How often a source is asked for what is missing.",
            acts_on=_TOLD,
            kind="integer",
            path=("spec", _MISSING, "max_attempts"),
            least=1,
            most=100,
            needs={"action": "none"},
        ),
    ]


def _leg(leg: streams.Leg) -> Field:
    path = ("spec", LEGS, leg.name, "within")
    return Field(
        below=f"{LEGS}.{leg.name}.within",
        title=f"Time for {leg.name}",
        description=f"How long after the anchor {leg.name} may come.",
        acts_on=_OPEN,
        kind="duration",
        path=(*path, "default") if leg.within_when else path,
        least="1ms",
        most="365d",
    )


def value(contract: streams.Contract, below: str) -> settings.Value:
    """What a contract says for a field; without an objective every share of keys may not match."""
    window, missing = contract.window, contract.on_missing
    after = streams.OnMissing() if missing is None else missing
    if below.startswith(f"{LEGS}."):
        leg = contract.legs[contract.leg_index(below.split(".")[1])]
        return durations.to_text(window.size if leg.within is None else leg.within)
    share = contract.mismatch_rate_max
    known: dict[str, settings.Value] = {
        "within": durations.to_text(window.size),
        "grace": durations.to_text(window.grace),
        "idle_timeout": durations.to_text(window.idle_timeout),
        "mismatch_share_max": 1.0 if share is None else share,
        f"{_MISSING}.after": durations.to_text(after.after),
        # A contract without the section does nothing, whatever its defaults.
        f"{_MISSING}.action": "none" if missing is None else missing.action,
        f"{_MISSING}.max_attempts": after.max_attempts,
    }
    return known[below]


def split(name: str) -> tuple[str, str]:
    """Contract and field of the name of a setting. Raises NotFoundError when it is none."""
    parts = name.removeprefix(registry.CONTRACT).split(".", 1)
    if not name.startswith(registry.CONTRACT) or len(parts) != 2 or not all(parts):
        raise errors.NotFoundError(
            f"there is no setting {name[:120]!r}: those of contracts are called "
            "contract.NAME.FIELD, such as contract.order-match.within"
        )
    return parts[0], parts[1]


def setting(contract: streams.Contract, below: str) -> settings.Setting:
    """A field of a contract as a setting. Raises NotFoundError."""
    known = fields(contract)
    found = known.get(below)
    if found is None:
        full = {f"{registry.CONTRACT}{contract.name}.{each}" for each in known}
        raise errors.NotFoundError(
            settings.missing(f"{registry.CONTRACT}{contract.name}.{below}", full)
        )
    return settings.Setting(
        name=f"{registry.CONTRACT}{contract.name}.{below}",
        title=f"{contract.name}: {found.title}",
        description=found.description,
        acts_on=found.acts_on,
        kind=found.kind,
        default=value(contract, below),
        scopes=("contract",),
        least=found.least,
        most=found.most,
        choices=found.choices,
        lives_in="contract",
    )


def every(contract: streams.Contract) -> list[settings.Setting]:
    """All settings of a contract."""
    return [setting(contract, below) for below in fields(contract)]


def changed(contract: streams.Contract, below: str, to: settings.Value) -> streams.Contract:
    """The next version of a contract: its document with one value replaced.

    Raises:
        InvalidInputError: the contract would not do; names the setting.
    """
    found = fields(contract)[below]
    name = f"{registry.CONTRACT}{contract.name}.{below}"
    text = contract.text
    if found.needs and found.path[1] not in _sections(text):
        for beside, needed in found.needs.items():
            text = yamledit.replaced(text, (*found.path[:-1], beside), needed)
    text = yamledit.replaced(text, found.path, _written(to))
    try:
        made = streams.parse(text)
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(f"{name}: {error.message}", field="value") from error
    _check(made, below, name)
    if value(made, below) != to or not same_but_for(contract, made, below):
        raise errors.InvalidInputError(
            f"{name} cannot be changed alone in this document: declare the contract anew",
            field="name",
        )
    return made


def _check(made: streams.Contract, below: str, name: str) -> None:
    """What has to hold between the values of a contract."""
    if below not in ("grace", "within") and not below.endswith(".within"):
        return
    longest = max([made.window.size, *(leg.within or 0 for leg in made.legs)])
    if made.window.grace > longest:
        grace, most = durations.to_text(made.window.grace), durations.to_text(longest)
        raise errors.InvalidInputError(
            f"{name}: a grace of {grace} is longer than any window ({most}): "
            "expected a grace of at most the window",
            field="value",
        )


def same_but_for(before: streams.Contract, after: streams.Contract, below: str) -> bool:
    """Whether two versions differ in one field at most."""
    mine = {each: value(before, each) for each in fields(before)}
    other = {each: value(after, each) for each in fields(after)}
    if below == "within":
        # A leg that says nothing follows the window.
        own = {f"{LEGS}.{leg.name}.within" for leg in before.legs if leg.within is None}
        mine = {key: each for key, each in mine.items() if key not in own}
        other = {key: each for key, each in other.items() if key not in own}
    differing = {key for key, each in mine.items() if other.get(key) != each}
    return differing <= {below} and streams.shape(before) == streams.shape(after)


def _sections(text: str) -> Sequence[str]:
    root = yamldoc.parse(text)
    return [name for name, _ in dict(root.items())["spec"].items()]


def _written(to: settings.Value) -> str:
    if isinstance(to, bool):
        return "true" if to else "false"
    if isinstance(to, float):
        return f"{to:.12f}".rstrip("0").rstrip(".")
    return str(to)
