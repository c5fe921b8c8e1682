"""Runs queries: the schema with what answers each field, and one request from text to answer."""

import asyncio
import functools
import re
from importlib import resources
from typing import Any, TypeAlias

import graphql
import msgspec

from helios.api import problems, services
from helios.api.graph import (
    bounds,
    checking,
    context,
    fields_events,
    fields_stacks,
    fields_streams,
    fields_system,
    refusing,
)
from helios.kernel import errors

Answer: TypeAlias = tuple[int, dict[str, Any]]
"""HTTP status and body."""

_LONG_MAX = 2**63 - 1
_GROUPS = (fields_events, fields_streams, fields_stacks, fields_system)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a request.

    Attributes:
        query: the document.
        variables: by name.
        operation_name: which operation of the document to run.
        extensions: taken and not looked at; clients send it.
    """

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")
    extensions: dict[str, Any] | None = None


def text() -> str:
    """The schema as text."""
    return resources.files("helios.api.graph").joinpath("schema.graphql").read_text("utf-8")


@functools.cache
def schema() -> graphql.GraphQLSchema:
    """The schema with what answers each field; made once."""
    made = graphql.build_schema(text())
    scalar = made.type_map["Long"]
    scalar.parse_value = _whole  # type: ignore[attr-defined]
    scalar.parse_literal = _whole_literal  # type: ignore[attr-defined]
    made.type_map["Node"].resolve_type = fields_system.kind_of  # type: ignore[attr-defined]
    known: dict[str, dict[str, Any]] = {"Query": {}}
    for group in _GROUPS:
        known["Query"] |= group.QUERY
        for kind, fields in group.FIELDS.items():
            known.setdefault(kind, {}).update(fields)
    for name, kind in made.type_map.items():
        if isinstance(kind, graphql.GraphQLObjectType) and not name.startswith("__"):
            _bind(kind, known.pop(name, {}))
    assert not known, known
    return made


def _bind(kind: graphql.GraphQLObjectType, own: dict[str, Any]) -> None:
    """Give each field what answers it; without one of its own the attribute of its name."""
    for name, field in kind.fields.items():
        field.resolve = own.pop(name, None) or _attribute(snake(name))
        for argument, described in field.args.items():
            described.out_name = snake(argument)
    assert not own, own


def snake(name: str) -> str:
    """`clientId` as `client_id`."""
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def _attribute(name: str) -> Any:
    def resolve(seen: Any, _: Any) -> Any:
        if isinstance(seen, dict):
            return seen[name]
        if isinstance(seen, fields_events.Shown | fields_streams.Seen):
            return getattr(seen.view, name)
        return getattr(seen, name)

    return resolve


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LONG_MAX:
        return value
    raise errors.InvalidInputError("expected a whole number of at most 63 bits")


def _whole_literal(node: Any, _: Any = None) -> int:
    digits = node.value if isinstance(node, graphql.IntValueNode) else ""
    return _whole(int(digits) if digits.isdecimal() and len(digits) <= 19 else None)


async def run(parts: services.Services, asked: Asked) -> Answer:
    """Answer one request; what is wrong with it is in the answer."""
    try:
        document, chosen = _admitted(asked)
    except _ManyError as error:
        return 400, {"errors": refusing.all_told(error.found)}
    except (errors.HeliosError, graphql.GraphQLError, RecursionError) as error:
        return _refused(error)
    name = chosen.name.value if chosen.name is not None else None
    at = context.Context(parts)
    try:
        async with asyncio.timeout(bounds.SECONDS_MAX):
            found = graphql.execute(
                schema(),
                document,
                context_value=at,
                variable_values=asked.variables or {},
                operation_name=name,
            )
            result = found if isinstance(found, graphql.ExecutionResult) else await found
    except TimeoutError:
        slow = refusing.SlowQueryError(
            f"the query took more than {bounds.SECONDS_MAX:g} s: ask for less at once"
        )
        return _refused(slow)
    finally:
        at.close()
    return _answer(result)


class _ManyError(Exception):
    """A document is not valid for several reasons."""

    def __init__(self, found: list[graphql.GraphQLError]) -> None:
        super().__init__()
        self.found = found


def _admitted(
    asked: Asked,
) -> tuple[graphql.DocumentNode, graphql.OperationDefinitionNode]:
    """The document of a request and the operation to run, once nothing speaks against it."""
    document = checking.read(asked.query)
    chosen = checking.operation(document, asked.operation_name)
    checking.check(schema(), document, chosen, asked.variables or {})
    found = graphql.validate(schema(), document, max_errors=bounds.ERRORS_MAX)
    if found:
        raise _ManyError(found)
    return document, chosen


def _refused(error: Exception) -> Answer:
    status = 400
    if isinstance(error, errors.DeadlineError):
        status = problems.codes()[error.code]
    return status, {"errors": [refusing.told(error)]}


def _answer(result: graphql.ExecutionResult) -> Answer:
    found: dict[str, Any] = {"data": result.data}
    if result.errors:
        found["errors"] = refusing.all_told(result.errors)
    if result.data is None and result.errors and all(not each.path for each in result.errors):
        del found["data"]  # It was not begun: a variable is wrong.
        return 400, found
    return 200, found
