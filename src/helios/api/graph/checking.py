"""Refuses a document that would cost too much, from its text and its tree alone.

What a query costs is counted before it is validated, because validation compares fields with
fields: a thousand times one field would take it seconds. A fragment is counted once, however often
it is spread, so that fragments that spread fragments twice cannot make the count itself explode.
"""

from collections.abc import Mapping
from typing import Any

import graphql
import msgspec
from graphql.language import Lexer, TokenKind

from helios.api.graph import bounds, refusing
from helios.kernel import errors

_OPENING = (TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L)
_CLOSING = (TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R)
_NESTED = frozenset(("fields", "inputFields", "interfaces", "possibleTypes"))
"""Lists of the introspection that lead from types to types."""
_WRAPPED = "ofType"


class Tally(msgspec.Struct):
    """What a selection comes to.

    Attributes:
        cost: fields that may be answered.
        depth: of the deepest field in it.
        aliases: fields that are renamed or repeated.
        introspections: how often it asks for the schema.
        nested: lists of the introspection within one another.
    """

    cost: int = 0
    depth: int = 0
    aliases: int = 0
    introspections: int = 0
    nested: int = 0


def read(text: str) -> graphql.DocumentNode:
    """The document of a text.

    Raises:
        OverLimitError: too many words, too deep, too long a name, too many fragments.
        GraphQLSyntaxError: it is none.
    """
    _scan(text)
    return graphql.parse(text, max_tokens=bounds.TOKENS_MAX)


def _scan(text: str) -> None:
    """Look at the words alone: the parser calls itself for each bracket."""
    lexer = Lexer(graphql.Source(text))
    words = nesting = 0
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        words += 1
        if words > bounds.TOKENS_MAX:
            raise refusing.OverLimitError(
                "tokens",
                bounds.TOKENS_MAX,
                f"a query has at most {bounds.TOKENS_MAX} tokens; ask in several requests",
            )
        if token.kind is TokenKind.NAME and len(token.value or "") > bounds.NAME_CHARS_MAX:
            raise refusing.OverLimitError(
                "name", bounds.NAME_CHARS_MAX, f"names end at {bounds.NAME_CHARS_MAX} characters"
            )
        nesting += (token.kind in _OPENING) - (token.kind in _CLOSING)
        if nesting > bounds.NESTING_MAX:
            raise refusing.OverLimitError(
                "depth",
                bounds.DEPTH_MAX,
                f"brackets within brackets end at {bounds.NESTING_MAX}, and fields within fields "
                f"at {bounds.DEPTH_MAX}",
            )


def operation(document: graphql.DocumentNode, name: str | None) -> graphql.OperationDefinitionNode:
    """The operation that is to run.

    Raises:
        OverLimitError: there are too many operations or fragments.
        InvalidInputError: there is none of that name, or several and no name, or it is no query.
    """
    found = [
        each for each in document.definitions if isinstance(each, graphql.OperationDefinitionNode)
    ]
    _most("operations", len(found), bounds.OPERATIONS_MAX)
    _most("fragments", len(document.definitions) - len(found), bounds.FRAGMENTS_MAX)
    chosen = [each for each in found if name is None or (each.name and each.name.value == name)]
    if len(chosen) != 1:
        names = ", ".join(each.name.value for each in found if each.name) or "none with a name"
        raise errors.InvalidInputError(
            f"say which operation to run; there are: {names}", field="operationName"
        )
    kind = chosen[0].operation
    if kind is graphql.OperationType.MUTATION:
        raise errors.InvalidInputError(
            "GraphQL only reads here; things are changed over REST, see /docs"
        )
    if kind is graphql.OperationType.SUBSCRIPTION:
        raise errors.InvalidInputError(
            "there are no subscriptions; follow /api/v1/events/stream (server-sent events) or "
            "/api/v1/live (web socket)"
        )
    return chosen[0]


def check(
    schema: graphql.GraphQLSchema,
    document: graphql.DocumentNode,
    chosen: graphql.OperationDefinitionNode,
    variables: Mapping[str, Any],
) -> Tally:
    """Refuse what asks for too much; returns what it comes to.

    Raises:
        OverLimitError: depth, cost, aliases or introspection; names the limit.
        InvalidInputError: a fragment spreads itself.
    """
    counting = _Counting(schema, document, chosen, variables)
    for each in document.definitions:
        if isinstance(each, graphql.FragmentDefinitionNode):
            # Also one that nothing spreads: validation goes through it.
            counting.fragment(each.name.value, 0)
        elif isinstance(each, graphql.OperationDefinitionNode) and each is not chosen:
            _refuse(counting.operation(each))
    tally = counting.operation(chosen)
    _refuse(tally)
    return tally


def _refuse(tally: Tally) -> None:
    _most("depth", tally.depth, bounds.DEPTH_MAX, "fields within fields")
    _most("aliases", tally.aliases, bounds.ALIASES_MAX, "aliases and repeated fields")
    _most("introspection", tally.introspections, bounds.INTROSPECTIONS_MAX)
    _most("introspection", tally.nested, 1, "lists of types or fields within one another")
    _most("cost", tally.cost, bounds.COST_MAX, "fields to answer, those of a list by its `first`")


def _most(limit: str, found: int, most: int, what: str | None = None) -> None:
    if found > most:
        shown = f"{found:,}" if found < 10**9 else "very many"
        raise refusing.OverLimitError(
            limit, most, f"{shown} {what or limit}; at most {most:,}: ask for less at once"
        )


class _Counting:
    """Counts selections of one document."""

    def __init__(
        self,
        schema: graphql.GraphQLSchema,
        document: graphql.DocumentNode,
        chosen: graphql.OperationDefinitionNode,
        variables: Mapping[str, Any],
    ) -> None:
        self._schema = schema
        self._variables = variables
        self._defaults = {
            each.variable.name.value: each.default_value
            for each in chosen.variable_definitions or ()
        }
        self._fragments = {
            each.name.value: each
            for each in document.definitions
            if isinstance(each, graphql.FragmentDefinitionNode)
        }
        self._counted: dict[str, Tally] = {}
        self._open: list[str] = []

    def operation(self, node: graphql.OperationDefinitionNode) -> Tally:
        kind = self._schema.query_type
        return self._selection(kind, node.selection_set, 0)

    def fragment(self, name: str, spreads: int) -> Tally:
        """What a fragment comes to, counted once."""
        if name in self._open:
            raise errors.InvalidInputError(f"fragment {name} spreads itself")
        found = self._counted.get(name)
        node = self._fragments.get(name)
        if found is not None or node is None:
            return found or Tally()
        _most("spreads", spreads + 1, bounds.SPREADS_MAX, "fragments within fragments")
        self._open.append(name)
        kind = self._schema.type_map.get(node.type_condition.name.value)
        found = self._selection(kind, node.selection_set, spreads + 1)
        self._open.pop()
        self._counted[name] = found
        # Here and not at the end, so that no number grows with what is yet to come.
        _refuse(found)
        return found

    def _selection(
        self,
        kind: Any,
        selected: graphql.SelectionSetNode | None,
        spreads: int,
        names: set[str] | None = None,
    ) -> Tally:
        """What a selection on a type comes to.

        Args:
            kind: the type, or None where it is not known: validation will say so.
            selected: what is asked of it.
            spreads: fragments it stands in.
            names: of fields of the same selection, outside an inline fragment.
        """
        total = Tally()
        seen: set[str] = set() if names is None else names
        for each in selected.selections if selected else ():
            if isinstance(each, graphql.FieldNode):
                part = self._field(kind, each, spreads)
                shown = each.alias or each.name
                part.aliases += each.alias is not None or shown.value in seen
                seen.add(shown.value)
            elif isinstance(each, graphql.InlineFragmentNode):
                inner = kind
                if each.type_condition is not None:
                    inner = self._schema.type_map.get(each.type_condition.name.value)
                part = self._selection(inner, each.selection_set, spreads, seen)
            elif isinstance(each, graphql.FragmentSpreadNode):
                part = self.fragment(each.name.value, spreads)
            else:
                continue
            total.cost += part.cost
            total.depth = max(total.depth, part.depth)
            total.aliases += part.aliases
            total.introspections += part.introspections
            total.nested = max(total.nested, part.nested)
        return total

    def _field(self, kind: Any, node: graphql.FieldNode, spreads: int) -> Tally:
        name = node.name.value
        if name in ("__schema", "__type"):
            return self._introspection(node, spreads)
        known = getattr(kind, "fields", {}).get(name)
        of = None if known is None else graphql.get_named_type(known.type)
        inner = self._selection(of, node.selection_set, spreads)
        nested = inner.nested + (getattr(kind, "name", "") == "__Type" and name in _NESTED)
        own = bounds.COSTS.get((getattr(kind, "name", ""), name), 1)
        return Tally(
            cost=own + self._times(known, node) * inner.cost,
            depth=inner.depth + (name != _WRAPPED),
            aliases=inner.aliases,
            introspections=inner.introspections,
            nested=nested,
        )

    def _introspection(self, node: graphql.FieldNode, spreads: int) -> Tally:
        """The schema is as large as it is, so its lists are not multiplied; only not repeated."""
        root = self._schema.type_map["__Schema" if node.name.value == "__schema" else "__Type"]
        inner = self._selection(root, node.selection_set, spreads)
        if inner.aliases:
            raise refusing.OverLimitError(
                "introspection", 0, "no aliases and no repeated fields within introspection"
            )
        return Tally(
            cost=1 + inner.cost,
            depth=inner.depth + 1,
            introspections=inner.introspections + 1,
            nested=inner.nested,
        )

    def _times(self, known: Any, node: graphql.FieldNode) -> int:
        """How often what is below a field is answered."""
        if known is None:
            return 1
        given = {each.name.value: each.value for each in node.arguments or ()}
        if "first" in known.args:
            value = self._value(given.get("first"))
            return max(1, min(value if value is not None else bounds.FIRST, 10**6))
        if "ids" in known.args:
            return self._length(given.get("ids"))
        of = graphql.get_nullable_type(known.type)
        named = graphql.get_named_type(known.type)
        is_list = isinstance(of, graphql.GraphQLList)
        if not is_list or named.name.startswith("__") or node.name.value in ("edges", "nodes"):
            return 1  # Those of a connection are counted by its `first`.
        return bounds.LIST_COST

    def _value(self, node: Any) -> int | None:
        """A number that is written, or given by a variable."""
        if isinstance(node, graphql.VariableNode):
            name = node.name.value
            if name in self._variables:
                given = self._variables[name]
                # A whole number may come with a point; it is taken as well.
                whole = isinstance(given, float) and given.is_integer()
                return int(given) if whole or isinstance(given, int) else None
            return self._value(self._defaults.get(name))
        if isinstance(node, graphql.IntValueNode):
            return int(node.value[:9])
        return None

    def _length(self, node: Any) -> int:
        """Of a list that is written, or given by a variable."""
        if isinstance(node, graphql.VariableNode):
            given = self._variables.get(node.name.value)
            if isinstance(given, list):
                return max(1, len(given))
            return self._length(self._defaults.get(node.name.value))
        if isinstance(node, graphql.ListValueNode):
            return max(1, len(node.values))
        return 1
