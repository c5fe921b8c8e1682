"""Which differences somebody knows of: ignore rules, ownership, what providers set themselves.

All rules of a stack are compiled into one trie for each component, so that a difference is asked
about once, however many rules there are. A rule holds for what it names and all below. Three
effects, from the weakest: `heal` (told, not healed), `alarm` (recorded, not told), `own` (somebody
else's: neither compared nor written). The strongest that matches counts.

Paths are written as JSON pointers (`/tags/[name=env]/value`) or JSONPath (`$.tags[*].value`);
`*` is one step, `**` or `..` any number.
"""

import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import composition, diffing, normalising, policy

BASELINE: Final = "baseline"
"""Stands for a rule where a difference was there when the baseline was taken."""

STEPS_MAX = 32
"""Steps of one path. Above: refused; it would be matched at every difference."""

TRIES_MAX: Final = 4_096
"""Components whose tries are kept for one set of rules. Above: they are made again."""

BROAD_SHARE: Final = 0.5
"""A rule that leaves out more than this part of a stack's compared fields is called too broad."""

_STRENGTH: Final[Mapping[str, int]] = {"heal": 1, "alarm": 2, "own": 3}
_EFFECT: Final[Mapping[policy.Ownership, policy.Ignored | None]] = {
    "own": None,
    "share": "heal",
    "yield": "own",
}
_TOKEN = re.compile(
    r"""\.\.(?P<deep>)|\.?(?P<star>\*)|\.(?P<name>[^.\[\]*]+)|\[(?:(?P<index>\d+)|(?P<all>\*)
    |'(?P<single>[^']*)'|"(?P<double>[^"]*)"
    |\?\(?@\.(?P<key>[\w-]+)\s*==\s*(?:'(?P<value1>[^']*)'|"(?P<value2>[^"]*)"|(?P<value3>[\w-]+))
    \)?|(?P<field>[\w-]+)=(?P<value>[^\]]*))\]|(?P<bare>[^.\[\]*]+)""",
    re.VERBOSE,
)

BUILT_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "dynamodb_table": ("/**/ItemCount", "/**/IndexSizeBytes", "/**/TableSizeBytes"),
    "sqs_queue": ("/messages",),
    "codebuild_project": ("/last_build",),
    "strapi": ("/id", "/createdAt", "/updatedAt"),
    "shopify": ("/id", "/admin_graphql_api_id", "/created_at", "/updated_at"),
    "woocommerce": ("/id", "/date_created", "/date_created_gmt", "/date_modified",
        "/date_modified_gmt", "/_links"),
    "contentful": ("/sys",),
    "sanity": ("/id", "/createdAt", "/updatedAt"),
    "github": ("/id", "/created_at", "/updated_at", "/last_response"),
    "stripe": ("/id", "/created", "/livemode"),
}  # fmt: skip
"""Fields that the other side sets by itself, by adapter or kind of resource; an `own` in the
ownership map takes one back."""


class Ruled(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say of a difference."""

    rule: str
    effect: policy.Ignored


class _Entry(msgspec.Struct, frozen=True):
    """A rule in the trie; `effect` None takes a field back that a broader entry gave away."""

    rule: str
    effect: policy.Ignored | None
    expires_at: clocks.Timestamp | None
    owned: bool
    exactness: tuple[int, int, int]


class _Node:
    __slots__ = ("any", "deep", "entries", "exact")

    def __init__(self) -> None:
        self.exact: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.deep: _Node | None = None
        self.entries: list[_Entry] = []


class Rules:
    """The rules of a stack, compiled. Immutable from outside; tries are built when first needed."""

    def __init__(
        self,
        ignore: tuple[policy.IgnoreRule, ...],
        ownership: tuple[policy.Owned, ...] = (),
    ) -> None:
        self._ignore = ignore
        self._ownership = ownership
        self._tries: dict[tuple[str, str], _Node] = {}

    def ruling(
        self, component: str, kind: str, path: diffing.Path, now: clocks.Timestamp
    ) -> Ruled | None:
        """What is said of a path below a component.

        Args:
            component: its address.
            kind: of a resource its kind, else the provider's adapter: whose built-in rules hold.
            path: of the difference; what it is part of is asked about too.
            now: rules may have expired by then.
        """
        trie = self._tries.get((component, kind))
        if trie is None:
            if len(self._tries) >= TRIES_MAX:
                self._tries.clear()
            trie = self._tries[component, kind] = self._compiled(component, kind)
        found: list[_Entry] = []
        _collect(trie, path, 0, found)
        held = [each for each in found if each.expires_at is None or now < each.expires_at]
        return _strongest(held) if held else None

    def _compiled(self, component: str, kind: str) -> _Node:
        root = _Node()
        for rule in self._ignore:
            if fnmatch.fnmatchcase(component, rule.component):
                _insert(root, rule.path, rule.component, (rule.id, rule.effect, rule.expires_at))
        for each in self._ownership:
            if fnmatch.fnmatchcase(component, each.component):
                name = f"ownership:{each.manager}"
                effect = _EFFECT[each.mode]
                _insert(root, each.path, each.component, (name, effect, None), owned=True)
        for path in BUILT_IN.get(kind, ()):
            _insert(root, path, "*", (f"built-in:{kind}{path}", "own", None), owned=True)
        return root


@functools.lru_cache(maxsize=1024)
def compiled(
    ignore: tuple[policy.IgnoreRule, ...], ownership: tuple[policy.Owned, ...] = ()
) -> Rules:
    """The rules of a stack and its policy, ready to be asked. Paths that cannot be read are void:
    they are refused where they are declared (`parse_path`) and reported by `review`.
    """
    return Rules(ignore, ownership)


def parse_path(text: str) -> diffing.Path:
    """The steps of a JSON pointer or JSONPath; none: the whole component.

    Raises:
        InvalidInputError: neither of the two.
    """
    if text in ("", "/", "$"):
        return ()
    if text.startswith("/"):
        found = diffing.steps(text)
    elif text.startswith("$"):
        found = _json_path(text)
    else:
        raise errors.InvalidInputError(
            f"path {text[:80]!r} is neither a JSON pointer (/a/b) nor a JSONPath ($.a.b)"
        )
    if len(found) > STEPS_MAX:
        raise errors.InvalidInputError(f"path of {len(found)} steps, at most {STEPS_MAX} are taken")
    return found


def _json_path(text: str) -> diffing.Path:
    found: list[str] = []
    place = 1
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise errors.InvalidInputError(
                f"JSONPath {text[:80]!r} cannot be read from character {place + 1} on"
            )
        place = token.end()
        said = {name: value for name, value in token.groupdict().items() if value is not None}
        found.append(_step(said, text))
    return tuple(found)


def _step(said: Mapping[str, str], text: str) -> str:
    if "deep" in said:
        return "**"
    if "star" in said or "all" in said:
        return "*"
    if "key" in said:
        value = said.get("value1") or said.get("value2") or said.get("value3") or ""
        return f"[{said['key']}={value}]"
    if "field" in said:
        return f"[{said['field']}={said['value']}]"
    for name in ("name", "index", "single", "double"):
        if name in said:
            return said[name]
    if "bare" in said and ".." in text:
        return said["bare"]
    raise errors.InvalidInputError(f"JSONPath {text[:80]!r} lacks a dot")


def _insert(
    root: _Node,
    path: str,
    component: str,
    rule: tuple[str, policy.Ignored | None, clocks.Timestamp | None],
    *,
    owned: bool = False,
) -> None:
    try:
        steps = parse_path(path)
    except errors.InvalidInputError:
        return
    node = root
    for step in steps:
        if step == "**":
            node.deep = node.deep or _Node()
            node = node.deep
        elif step == "*":
            node.any = node.any or _Node()
            node = node.any
        else:
            node = node.exact.setdefault(step, _Node())
    name, effect, expires_at = rule
    exact = sum(step not in ("*", "**") for step in steps)
    is_declared = not name.startswith("built-in:")
    exactness = (exact, len(component.replace("*", "")), int(is_declared))
    node.entries.append(_Entry(name, effect, expires_at, owned, exactness))


def _collect(node: _Node, path: diffing.Path, place: int, found: list[_Entry]) -> None:
    """The rules that hold for a path, and those that hold for what it is part of."""
    found += node.entries
    if node.deep is not None:
        for later in range(place, len(path) + 1):
            _collect(node.deep, path, later, found)
    if place == len(path):
        return
    below = node.exact.get(path[place])
    if below is not None:
        _collect(below, path, place + 1, found)
    if node.any is not None:
        _collect(node.any, path, place + 1, found)


def _strongest(held: list[_Entry]) -> Ruled | None:
    """Of the ownership map the entry that fits best; of that and the ignore rules the strongest."""
    owned = [each for each in held if each.owned]
    asked = [each for each in held if not each.owned]
    if owned:
        best = max(owned, key=lambda each: each.exactness)
        asked.append(best)
    said = [(each.rule, each.effect) for each in asked if each.effect is not None]
    if not said:
        return None
    rule, effect = max(said, key=lambda each: _STRENGTH[each[1]])
    return Ruled(rule=rule, effect=effect)


# -- which rules are of no use ---------------------------------------------------------------------

Fault: TypeAlias = Literal["expired", "unreadable", "dead", "broad"]


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """How often a rule left something out, and when last."""

    count: int
    last: clocks.Timestamp


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that somebody should look at, and why."""

    rule: str
    fault: Fault
    detail: str


def counted(
    before: Mapping[str, Hit], hits: Mapping[str, int], now: clocks.Timestamp
) -> dict[str, Hit]:
    """The hits after one more detection."""
    found = dict(before)
    for rule, count in hits.items():
        known = found.get(rule)
        found[rule] = Hit(count=count + (0 if known is None else known.count), last=now)
    return found


def review(
    rules: Iterable[policy.IgnoreRule],
    trees: Mapping[str, Mapping[str, Any]],
    now: clocks.Timestamp,
) -> tuple[Review, ...]:
    """The rules of which nothing can come any more, and those that leave out too much.

    Args:
        rules: of a stack and its policy.
        now: rules may have expired by then.
        trees: what each component is expected to be, by address (`expecting.trees`).
    """
    leaves = [(address, path) for address, tree in trees.items() for path in _leaves(tree)]
    found = []
    for rule in rules:
        said = _reviewed(rule, leaves, now)
        if said is not None:
            found.append(Review(rule=rule.id, fault=said[0], detail=said[1]))
    return tuple(found)


def kind_of(component: composition.Component, declared: composition.Composition) -> str:
    """Whose built-in rules hold for a component: a kind of resource, or an adapter."""
    match component:
        case composition.Resource():
            return component.kind
        case composition.Provider():
            return component.name
        case composition.Integration() | composition.Content():
            provider = declared.provider(component.provider)
            return "" if provider is None else provider.name


def _reviewed(
    rule: policy.IgnoreRule, leaves: list[tuple[str, diffing.Path]], now: clocks.Timestamp
) -> tuple[Fault, str] | None:
    if rule.expires_at is not None and rule.expires_at <= now:
        return "expired", f"void since {clocks.to_rfc3339(rule.expires_at)}: remove it or renew it"
    try:
        parse_path(rule.path)
    except errors.InvalidInputError as error:
        return "unreadable", str(error)
    root = _Node()
    _insert(root, rule.path, rule.component, (rule.id, rule.effect, None))
    matched = 0
    for address, path in leaves:
        if fnmatch.fnmatchcase(address, rule.component):
            found: list[_Entry] = []
            _collect(root, path, 0, found)
            matched += bool(found)
    if not matched:
        return "dead", f"nothing that is declared is at {rule.path or '/'} of {rule.component}"
    if matched > BROAD_SHARE * len(leaves):
        return "broad", f"leaves out {matched} of {len(leaves)} fields that are compared"
    return None


def _leaves(tree: Any, path: diffing.Path = ()) -> list[diffing.Path]:
    if type(tree) is dict and tree and not normalising.is_constraint(tree):
        return [leaf for name, each in tree.items() for leaf in _leaves(each, (*path, name))]
    if type(tree) is list and tree:
        key = normalising.list_key(tree)
        return [
            leaf
            for index, each in enumerate(tree)
            for leaf in _leaves(
                each, (*path, str(index) if key is None else f"[{key}={each[key]}]")
            )
        ]
    return [path]
