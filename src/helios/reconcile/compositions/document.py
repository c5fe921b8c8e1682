"""Reads `blackwell.yaml`: what is declared, as values that can be compared and hashed.

A declaration is read as strictly as it is written by hand: an unknown field, a name that nothing
has, a secret in plain text is refused with its place and with what to write instead. Its hash is
that of what it says, not of how it is written: neither the order of keys, nor quotes, nor comments
count, and nothing is filled in that was not declared.
"""

import graphlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.kernel import durations, yamldoc
from helios.reconcile.compositions import (
    composition,
    hashing,
    kinds,
    literals,
    policy,
    policy_document,
    shapes,
)

COMPONENTS_MAX = 500
"""Components of one stack. Above: refused; make two stacks of it."""
DOCUMENTS_MAX = 200
"""Documents of one file. Above: refused."""
RECORD_KIND = "StateRecord"
"""Kind of an exported state (`blackwell.state.json`), which holds a declaration."""
DEFAULT_ROLE = "cms"
"""The provider that has content when nothing says which one has."""

FIELDS = ("apiVersion", "kind", "metadata", "spec")
SECTIONS = ("providers", "integrations", "resources", "content")
METADATA: shapes.Shapes = {
    "client_id": shapes.text(128),
    "stack_id": shapes.name_of(shapes.NAME),
    "environment": shapes.name_of(shapes.ENVIRONMENT),
    "description": shapes.LONG,
    "labels": shapes.table(shapes.TEXT),
}
PROVIDER: shapes.Shapes = {
    "name": shapes.name_of(shapes.NAME),
    "url": shapes.URL,
    "secret_ref": shapes.REFERENCE,
    "content_types": shapes.words(shapes.name_of(shapes.TYPE)),
    "build": kinds.BUILD,
    "source": shapes.TEXT,
    "options": shapes.FIELDS,
    "credentials": shapes.REFERENCES,
}
INTEGRATION: shapes.Shapes = {
    "provider": shapes.name_of(shapes.NAME),
    "events": shapes.WORD_SET,
    "url": shapes.URL,
    "enabled": shapes.BOOLEAN,
    "headers": shapes.HEADERS,
    "secret_ref": shapes.REFERENCE,
    "configuration": shapes.FIELDS,
}
CONTENT: shapes.Shapes = {
    "provider": shapes.name_of(shapes.NAME),
    "min_count": shapes.integer(0, 1_000_000_000),
    "max_age": shapes.span("1s", "3650d"),
    "matches_cache": shapes.BOOLEAN,
}

Tree = dict[str, Any]
Places = dict[str, yamldoc.Node]


def parse(text: str, *, source: str | None = None) -> composition.Composition:
    """Read one declaration.

    Args:
        text: YAML, or JSON.
        source: its file name, for error messages.

    Raises:
        InvalidInputError: with line, column, field and what was expected.
    """
    return of_node(yamldoc.parse(text, source=source), text)


def parse_file(
    text: str, *, source: str | None = None
) -> list[composition.Composition | policy.Policy]:
    """Read all documents of a file: declarations, policies, exported states (two of them).

    Raises:
        InvalidInputError: one of them is wrong, or two are about the same stack.
    """
    found: list[composition.Composition | policy.Policy] = []
    seen: set[tuple[str, str, str]] = set()
    nodes = yamldoc.parse_all(text, source=source)
    if len(nodes) > DOCUMENTS_MAX:
        raise nodes[DOCUMENTS_MAX][0].error(f"at most {DOCUMENTS_MAX} documents in one file")
    for node, own in nodes:
        for each in _documents(node, own):
            kind = type(each).__name__
            key = (kind, each.client_id, each.stack_id)
            if key in seen:
                raise node.error(
                    f"a second {kind} of stack {each.stack_id} in this file: keep one of them"
                )
            seen.add(key)
            found.append(each)
    return found


def _documents(node: yamldoc.Node, own: str) -> list[composition.Composition | policy.Policy]:
    if not node.is_mapping:
        raise node.error(f"expected a mapping with the fields {', '.join(FIELDS)}")
    kind = dict(node.items()).get("kind")
    known = (composition.KIND, policy.KIND, RECORD_KIND)
    if kind is None:
        raise node.error(f"field 'kind' is missing: {', '.join(known)}")
    match kind.choice(known):
        case composition.KIND:
            return [of_node(node, own)]
        case policy.KIND:
            return [policy_document.of_node(node, own)]
        case _:
            return list(of_record(node))


def of_record(node: yamldoc.Node) -> Sequence[composition.Composition | policy.Policy]:
    """What an exported state says is declared; the rest of it is what was seen, and is not read.

    Raises:
        InvalidInputError: it holds no declaration, or a wrong one.
    """
    literals.check_text(node)
    fields = dict(node.items())
    if "declaration" not in fields:
        raise node.error(
            "field 'declaration' is missing: export the state again with `helios state export`"
        )
    found: list[composition.Composition | policy.Policy] = [_embedded(fields["declaration"])]
    rules = fields.get("policy")
    if rules is not None and not rules.is_null:
        found.append(policy_document.of_node(rules, yamldoc.dump(rules.plain())))
    return found


def _embedded(node: yamldoc.Node) -> composition.Composition:
    literals.check_text(node)
    return of_node(node, yamldoc.dump(node.plain()))


def of_node(root: yamldoc.Node, text: str) -> composition.Composition:
    """The declaration that a document is; see `parse`."""
    literals.check_text(root)
    top = root.fields(FIELDS, ("kind",))
    top["kind"].choice((composition.KIND,))
    top = root.fields(FIELDS, FIELDS)
    top["apiVersion"].choice((composition.API_VERSION,))
    places: Places = {}
    tree = {
        "apiVersion": composition.API_VERSION,
        "kind": composition.KIND,
        "metadata": shapes.read(top["metadata"], METADATA, ("stack_id",)),
        "spec": _spec(top["spec"], places),
    }
    return _made(tree, places, text)


# -- to the document that is hashed --------------------------------------------------------------


def _spec(node: yamldoc.Node, places: Places) -> Tree:
    sections = node.fields(SECTIONS)
    readers: Mapping[str, Callable[[str, yamldoc.Node], Tree]] = {
        "providers": _provider,
        "integrations": _integration,
        "resources": _resource,
        "content": _content,
    }
    return {
        name: _section(sections[name], name.removesuffix("s"), reader, places)
        for name, reader in readers.items()
        if name in sections
    }


def _section(
    node: yamldoc.Node,
    kind: str,
    reader: Callable[[str, yamldoc.Node], Tree],
    places: Places,
) -> Tree:
    pattern = shapes.TYPE if kind == "content" else shapes.NAME
    found: Tree = {}
    for name, each in _entries(node, kind):
        address = f"{kind}/{shapes.named(each, pattern, name)}"
        if address in places:
            raise each.error(f"{name} is given twice")
        places[address] = each
        found[name] = reader(name, each)
        if len(places) > COMPONENTS_MAX:
            raise each.error(f"more than {COMPONENTS_MAX} components: make two stacks of them")
    return found


def _entries(node: yamldoc.Node, kind: str) -> Sequence[tuple[str, yamldoc.Node]]:
    if kind == "content" and node.is_list:
        return [(each.scalar(), each) for each in node.elements()]
    return list(node.items())


def _is_word(node: yamldoc.Node) -> bool:
    return not (node.is_mapping or node.is_list or node.is_null)


def _provider(role: str, node: yamldoc.Node) -> Tree:
    del role
    if _is_word(node):
        return {"name": PROVIDER["name"].read(node)}
    found = shapes.read(node, PROVIDER, ("name",))
    if "secret_ref" in found and "token" in found.get("credentials", {}):
        raise node.error("secret_ref is credentials.token: give one of them")
    return found


def _integration(name: str, node: yamldoc.Node) -> Tree:
    del name
    return shapes.read(node, INTEGRATION, ("provider",))


def _content(name: str, node: yamldoc.Node) -> Tree:
    del name
    return {} if node.is_null or _is_word(node) else shapes.read(node, CONTENT)


def _resource(name: str, node: yamldoc.Node) -> Tree:
    usual = kinds.WELL_KNOWN.get(name)
    if _is_word(node):
        if usual is None:
            raise node.error(
                f"its kind is not known: write {{kind: …, …}}, or call it one of "
                f"{', '.join(kinds.WELL_KNOWN)}"
            )
        known = kinds.KINDS[usual]
        return {"kind": usual, known.main: known.settings[known.main].read(node)}
    entries = dict(node.items())
    if "kind" in entries:
        kind = entries["kind"].choice(tuple(kinds.KINDS))
    elif usual is not None:
        kind = usual
    else:
        raise node.error(f"field 'kind' is missing: {', '.join(kinds.KINDS)}")
    found = {"kind": kind, **shapes.read(node, kinds.fields(kind))}
    _check_resource(node, kind, found)
    return found


def _check_resource(node: yamldoc.Node, kind: str, found: Tree) -> None:
    places = kinds.KINDS[kind].places
    if places and not any(name in found for name in places):
        raise node.error(f"it is not said where it is: field {' or '.join(map(repr, places))}")
    if "secret_ref" in found and "token" in found.get("credentials", {}):
        raise node.error("secret_ref is credentials.token: give one of them")
    known = kinds.KINDS[kind]
    for name in found.get("expects", ()):
        if name in found and name not in known.settings:
            raise dict(node.items())[name].error("it stands under 'expects' too: keep one of them")


# -- to the values -------------------------------------------------------------------------------


def _made(tree: Tree, places: Places, text: str) -> composition.Composition:
    meta, spec = tree["metadata"], tree["spec"]
    found = composition.Composition(
        stack_id=meta["stack_id"],
        client_id=meta.get("client_id", envelope.DEFAULT_TENANT),
        environment=meta.get("environment", "prod"),
        providers=_all(spec, "providers", _as_provider),
        integrations=_all(spec, "integrations", _as_integration),
        resources=_all(spec, "resources", _as_resource),
        document=tree,
        hash=hashing.digest(tree),
        text=text,
    )
    found = msgspec.structs.replace(found, content=_contents(found, spec, places))
    _check_integrations(found, places)
    _check_order(found, places)
    return found


def _all(spec: Tree, section: str, made: Callable[[str, Tree], Any]) -> tuple[Any, ...]:
    """The components of a section, by name: their order in the document says nothing."""
    return tuple(made(name, fields) for name, fields in sorted(spec.get(section, {}).items()))


def _credentials(fields: Tree) -> dict[str, str]:
    found = dict(fields.get("credentials", {}))
    return {**found, "token": fields["secret_ref"]} if "secret_ref" in fields else found


def _as_provider(role: str, fields: Tree) -> composition.Provider:
    return composition.Provider(
        role=role,
        name=fields["name"],
        url=fields.get("url"),
        source=fields.get("source"),
        options=fields.get("options", {}),
        credentials=_credentials(fields),
        content_types=tuple(fields.get("content_types", ())),
        build=fields.get("build"),
    )


def _as_integration(name: str, fields: Tree) -> composition.Integration:
    return composition.Integration(
        name=name,
        provider=fields["provider"],
        events=tuple(fields.get("events", ())),
        url=fields.get("url"),
        enabled=fields.get("enabled", True),
        headers=fields.get("headers", {}),
        secret_ref=fields.get("secret_ref"),
        configuration=fields.get("configuration", {}),
    )


def _as_resource(name: str, fields: Tree) -> composition.Resource:
    kind = fields["kind"]
    return composition.Resource(
        name=name,
        kind=kind,
        settings=kinds.settings_of(kind, fields),
        expects=kinds.expects_of(kind, fields),
        credentials=_credentials(fields),
        depends_on=tuple(fields.get("depends_on", ())),
    )


def _contents(
    found: composition.Composition, spec: Tree, places: Places
) -> tuple[composition.Content, ...]:
    made = []
    for name, fields in sorted(spec.get("content", {}).items()):
        place = places[f"content/{name}"]
        role = fields.get("provider") or _owner(found, name, place)
        _check_role(found, role, place, is_named="provider" in fields)
        age = fields.get("max_age")
        made.append(
            composition.Content(
                type=name,
                provider=role,
                min_count=fields.get("min_count"),
                max_age=None if age is None else durations.parse(age),
                matches_cache=fields.get("matches_cache", True),
            )
        )
    return tuple(made)


def _owner(found: composition.Composition, name: str, place: yamldoc.Node) -> str:
    """The provider that has content of a type which does not name one."""
    owners = [each.role for each in found.providers if name in each.content_types]
    if len(owners) > 1:
        raise place.error(
            f"providers {', '.join(owners)} all have content of type {name}: name one here with "
            "'provider'"
        )
    if owners:
        return owners[0]
    if found.provider(DEFAULT_ROLE) is None:
        raise place.error(
            f"no provider has content of type {name}: list it under content_types of the one "
            "that has, or name that one here with 'provider'"
        )
    return DEFAULT_ROLE


# -- what belongs together -----------------------------------------------------------------------


def _check_role(
    found: composition.Composition, role: str, place: yamldoc.Node, *, is_named: bool
) -> None:
    if found.provider(role) is not None:
        return
    at = dict(place.items())["provider"] if is_named else place
    roles = ", ".join(each.role for each in found.providers) or "none"
    raise at.error(f"there is no provider {role!r} in spec.providers (there: {roles})")


def _check_integrations(found: composition.Composition, places: Places) -> None:
    for each in found.integrations:
        _check_role(found, each.provider, places[each.address], is_named=True)


def _check_order(found: composition.Composition, places: Places) -> None:
    """Refuse what waits for something that is not there, or for itself."""
    needs = {each.address: each.depends_on for each in found.resources}
    for address, names in needs.items():
        node = dict(places[address].items()).get("depends_on") if names else None
        for name in names:
            if name not in places:
                hint = f"; did you mean resource/{name}?" if f"resource/{name}" in places else ""
                raise (node or places[address]).error(
                    f"there is no component {name!r}{hint} (a component is named by its address, "
                    "such as resource/site or provider/cms)"
                )
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        raise places[circle[0]].error(
            f"it depends on itself: {' <- '.join(circle)}; take one of these out of depends_on"
        ) from None
