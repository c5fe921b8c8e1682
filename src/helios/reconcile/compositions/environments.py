"""One composition in several environments: what differs, and how a version goes on to the next.

Environments differ by nature in where things are and in which credentials open them; these are the
places of a component. Everything else is its content, which a promotion carries over while the
target keeps its own places.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from helios.kernel import yamldoc
from helios.reconcile.compositions import (
    composition,
    diffing,
    document,
    hashing,
    literals,
    policy,
    refusals,
    stack,
)

PLACES: Mapping[composition.Kind, frozenset[str]] = {
    "provider": frozenset(("url", "source", "credentials", "secret_ref")),
    "integration": frozenset(("url", "secret_ref")),
    "resource": frozenset(
        (
            "name",
            "url",
            "endpoint_url",
            "region",
            "host",
            "port",
            "address",
            "server_name",
            "path",
            "table",
            "topic",
            "arn",
            "topic_arn",
            "queue",
            "queue_url",
            "bucket",
            "project",
            "id",
            "distribution_id",
            "alias",
            "site",
            "credentials",
            "secret_ref",
        )
    ),
    "content": frozenset(),
}
"""Fields that say where a component is and what opens it; no two environments share them."""

_SECTIONS: Mapping[composition.Kind, str] = {
    "provider": "providers",
    "integration": "integrations",
    "resource": "resources",
    "content": "content",
}

Tree = dict[str, Any]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field in which two declarations differ; None: it is not declared there.

    Attributes:
        path: JSON pointer below the component; empty: the component itself.
        expected: it says where something is, and environments differ in that.
    """

    component: str
    path: str
    left: Any
    right: Any
    expected: bool = False


def compare(left: str, right: str) -> tuple[Difference, ...]:
    """What two declarations differ in, by component and field.

    Raises:
        InvalidInputError: one of the texts is no declaration.
    """
    mine, theirs = _fields(document.parse(left)), _fields(document.parse(right))
    found: list[Difference] = []
    for address in sorted(mine.keys() | theirs.keys()):
        if address not in mine or address not in theirs:
            one = Difference(
                component=address, path="", left=mine.get(address), right=theirs.get(address)
            )
            found.append(one)
            continue
        found += _differences(address, mine[address], theirs[address])
    return tuple(found)


def same(found: Collection[Difference]) -> bool:
    """Whether nothing but places differs."""
    return all(each.expected for each in found)


def content_hash(text: str) -> str:
    """Hash of a declaration without its places: the same in all environments that it was
    promoted to.
    """
    fields = _fields(document.parse(text))
    return hashing.digest({address: _content(address, each) for address, each in fields.items()})


def refuse(
    source: stack.Stack,
    target: stack.Stack,
    rules: policy.Policy,
    *,
    been: Collection[str] = (),
) -> None:
    """Refuse to promote what is not known to be good.

    Args:
        source: the stack whose declaration goes on.
        target: the stack that takes it over.
        rules: the policy of the target.
        been: further environments that have this content and are in sync.

    Raises:
        PromotionRefusedError: it drifts, was not looked at, is not what was applied, or was not
            where the policy says that it has to have been.
    """
    name, to = (f"{each.client_id}/{each.stack_id}" for each in (source, target))
    if name == to:
        raise refusals.PromotionRefusedError(f"{name} cannot be promoted to itself")
    for each, shown in ((source, name), (target, to)):
        if not each.is_declared:
            raise refusals.PromotionRefusedError(
                f"{shown} is not declared: declare it once with `helios apply -f`, with the places "
                "of its own environment"
            )
    why = _unfit(source)
    if why:
        raise refusals.PromotionRefusedError(
            f"{name} {source.version} is not fit to be promoted: {why}"
        )
    needed = rules.require_environment
    if needed and needed not in (source.environment, *been) and target.environment != needed:
        raise refusals.PromotionRefusedError(
            f"the policy of {to} wants a version to have been in {needed} first, and {name} is "
            f"in {source.environment}: promote it to {needed} before"
        )


def _unfit(source: stack.Stack) -> str:
    """Why a stack is not known to be as it is declared; empty: it is."""
    drifted = sum(1 for each in source.drifts.values() if each.state != "ignored")
    is_looked_at = source.observed_generation == source.generation and bool(source.observed_hash)
    found = (
        (drifted > 0, f"it has {drifted} drifts; `helios drift list` shows them"),
        (
            not is_looked_at,
            "it was not looked at since it was declared; `helios reconcile-stack` does",
        ),
        (source.expected_hash != source.observed_hash, "it is not as it is declared"),
        (bool(source.unknown), f"{', '.join(source.unknown[:5])} could not be looked at"),
        (
            source.applied_generation != source.generation,
            "this version was never seen to be in place",
        ),
        (source.status != "healthy", f"its status is {source.status}"),
    )
    return next((why for is_so, why in found if is_so), "")


def promoted(source: str, target: str) -> str:
    """The declaration of the target with the content of the source.

    Args:
        source: the declaration that goes on.
        target: the present one of the target, whose name, environment and places stay.

    Raises:
        InvalidInputError: one of the texts is no declaration.
        PromotionRefusedError: the target has no places for components that are new to it.
    """
    new, old = document.parse(source), document.parse(target)
    had = _fields(old)
    placeless: list[str] = []
    spec: Tree = {}
    for address, fields in _fields(new).items():
        kind, name = _parts(address)
        before = had.get(address)
        own = {} if before is None else _places(address, before)
        if before is None and _places(address, fields):
            placeless.append(address)
        spec.setdefault(_SECTIONS[kind], {})[name] = {**_content(address, fields), **own}
    if placeless:
        raise refusals.PromotionRefusedError(
            f"{', '.join(placeless[:5])} would be new in {old.stack_id}, and nothing says where "
            f"they are in {old.environment}: declare them there first with `helios apply -f`"
        )
    tree = {**new.document, "metadata": old.document["metadata"], "spec": spec}
    text = yamldoc.dump(tree)
    document.parse(text)
    return text


# -- parts ---------------------------------------------------------------------------------------


def _parts(address: str) -> tuple[composition.Kind, str]:
    kind, _, name = address.partition("/")
    known: Mapping[str, composition.Kind] = {each: each for each in _SECTIONS}
    return known[kind], name


def _fields(declared: composition.Composition) -> dict[str, Tree]:
    """The fields of each component as they are declared, by address."""
    spec = declared.document["spec"]
    return {
        f"{kind}/{name}": fields
        for kind, section in _SECTIONS.items()
        for name, fields in spec.get(section, {}).items()
    }


def _is_place(address: str, field: str, value: Any) -> bool:
    if field in PLACES[_parts(address)[0]]:
        return True
    if field == "headers" and isinstance(value, Mapping):
        return any(literals.is_reference(str(each)) for each in value.values())
    return False


def _places(address: str, fields: Tree) -> Tree:
    return {name: each for name, each in fields.items() if _is_place(address, name, each)}


def _content(address: str, fields: Tree) -> Tree:
    return {name: each for name, each in fields.items() if not _is_place(address, name, each)}


def _differences(address: str, left: Tree, right: Tree) -> list[Difference]:
    found = []
    for field in sorted(left.keys() | right.keys()):
        mine, theirs = left.get(field), right.get(field)
        if mine == theirs:
            continue
        is_place = _is_place(address, field, mine) or _is_place(address, field, theirs)
        found += [
            Difference(
                component=address,
                path=diffing.pointer((field, *path)),
                left=one,
                right=other,
                expected=is_place,
            )
            for path, one, other in _leaves(mine, theirs)
        ]
    return found


def _leaves(left: Any, right: Any) -> list[tuple[tuple[str, ...], Any, Any]]:
    if not (isinstance(left, Mapping) and isinstance(right, Mapping)):
        return [((), left, right)]
    return [
        ((name, *path), one, other)
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
        for path, one, other in _leaves(left.get(name), right.get(name))
    ]
