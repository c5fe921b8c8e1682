"""Write the generated parts of docs/reference/ from the code, or check that they are current.

    python scripts/reference.py            write
    python scripts/reference.py --check    exit 1 and name the pages that differ

A page is prose with places marked `<!-- generated: NAME -->` … `<!-- end -->`. What stands between
the marks belongs to this script, all else to people.
"""

import argparse
import ast
import dataclasses
import inspect
import itertools
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import click

import helios
from helios import cli
from helios.access import model
from helios.api import access_rules, console, metrics, openapi, problems, routes, services
from helios.configuration import registry
from helios.kernel import errors, limits, settings

PAGES = Path(__file__).resolve().parents[1] / "docs" / "reference"
MARK = re.compile(r"<!-- generated: ([\w.]+) -->\n.*?<!-- end -->", re.DOTALL)
WIDTH = 96


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; bars in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in row) + " |"
        for row in lines
    )


def code(text: object) -> str:
    """As inline code, when there is something to show."""
    return f"`{text}`" if str(text) else ""


def from_docstring(text: str) -> str:
    """Docstring markup to Markdown: what follows a blank line is a paragraph of its own."""
    return inspect.cleandoc(text).strip()


# -- the command line


def command_help(command: click.Command, path: str, parent: click.Context | None) -> Iterator[str]:
    """The help of a command and of all below it, as `--help` prints it."""
    context = click.Context(
        command,
        info_name=path.rsplit(maxsplit=1)[-1],
        parent=parent,
        terminal_width=WIDTH,
        color=False,
        # What the command itself would pass on: the names of its help option among it.
        **command.context_settings,
    )
    level = "##" if parent is None else "##" + "#" * min(2, len(path.split()) - 2)
    yield f"{level} `{path}`\n\n```text\n{command.get_help(context).rstrip()}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from command_help(below, f"{path} {name}", context)


def cli_page() -> str:
    return "\n\n".join(command_help(cli.main, "helios", None))


# -- HTTP


class Nothing:
    """Stands for the running parts: describing the routes reads none of them."""

    def __getattr__(self, name: str) -> "Nothing":
        return self

    def __call__(self, *_: object, **__: object) -> "Nothing":
        return self


def description() -> dict[str, Any]:
    """The OpenAPI document, without a server."""
    table_of_all = routes.table(cast("services.Services", Nothing()))
    return openapi.describe(table_of_all, version="0")


def type_of(schema: dict[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", maxsplit=1)[-1]
        return f"[{name}](#{name.lower()})"
    for many in ("anyOf", "oneOf"):
        if many in schema:
            return " or ".join(type_of(option) for option in schema[many])
    if "enum" in schema:
        return " or ".join(code(value) for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return str(kind)


def operation(method: str, path: str, what: dict[str, Any]) -> Iterator[str]:
    """One operation: what it takes and what it answers."""
    yield f"### `{method.upper()} {path}`\n\n{what.get('summary', '')}."
    rows = [
        (code(p["name"]), p["in"], "yes" if p.get("required") else "", p.get("description", ""))
        for p in what.get("parameters", ())
    ]
    if rows:
        yield table(("parameter", "in", "required", "meaning"), rows)
    bodies = what.get("requestBody", {}).get("content", {})
    if bodies:
        yield "Body: " + ", ".join(f"`{k}` ({type_of(v['schema'])})" for k, v in bodies.items())
    replies = []
    for status, reply in what["responses"].items():
        shown = [type_of(c["schema"]) for c in reply.get("content", {}).values() if "schema" in c]
        replies.append((status, reply.get("description", ""), "; ".join(dict.fromkeys(shown))))
    yield table(("status", "means", "body"), replies)


def attributes(text: str) -> dict[str, str]:
    """Name -> meaning, from the `Attributes:` section of a docstring."""
    section = text.partition("Attributes:\n")[2]
    indent = re.match(r" *", section)
    step = indent[0] if indent else ""
    entry = rf"^{step}(\S.*?)(?=^{step}\S|\Z)"
    found: dict[str, str] = {}
    for line in re.findall(entry, section, re.MULTILINE | re.DOTALL):
        names, _, meaning = line.partition(":")
        found |= {name.strip(): " ".join(meaning.split()) for name in names.split(",")}
    return found


def schema_section(name: str, schema: dict[str, Any]) -> Iterator[str]:
    """The fields of one schema."""
    yield f"### {name}"
    text = from_docstring(schema.get("description", ""))
    yield text.split("\n\nAttributes:")[0]
    meanings = attributes(text)
    required = schema.get("required", ())
    rows = [
        (code(field), type_of(what), "yes" if field in required else "", meanings.get(field, ""))
        for field, what in schema.get("properties", {}).items()
    ]
    if rows:
        yield table(("field", "type", "required", "meaning"), rows)


def http_page() -> str:
    document = description()
    parts = ["## Operations"]
    for path, methods in document["paths"].items():
        for method, what in methods.items():
            parts += operation(method, path, what)
    parts.append("## Schemas")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts += schema_section(name, schema)
    return "\n\n".join(parts)


# -- settings, limits, errors, metrics


def settings_page() -> str:
    told = settings.documentation()
    rows = []
    for field in dataclasses.fields(settings.Settings):
        default = "" if field.default is None else field.default
        shown = " ".join(default) if isinstance(default, tuple) else default
        variable = settings.ENVIRONMENT_PREFIX + field.name.upper()
        rows.append((code(field.name), code(variable), code(shown), told[field.name]))
    at_start = table(("setting", "environment", "default", "meaning"), rows)
    return f"{at_start}\n\n## While Helios runs\n\n{running_settings()}"


def running_settings() -> str:
    """What `helios config set` changes, but the windows of single contracts."""
    rows = []
    for each in registry.SETTINGS.values():
        default = ("on" if each.default else "off") if each.kind == "switch" else each.default
        meaning = f"{each.description} Acts on {each.acts_on}."
        rows.append((code(each.name), code(default), each.bounds, meaning))
    return table(("setting", "default", "allowed", "meaning"), rows)


def documented_constants(module: Any) -> Iterator[tuple[str, Any, str]]:
    """Name, value and docstring of each constant of a module."""
    body = ast.parse(inspect.getsource(module)).body
    for node, below in itertools.pairwise(body):
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and is_text:
            name = node.targets[0].id
            assert isinstance(below, ast.Expr)
            assert isinstance(below.value, ast.Constant)
            yield name, getattr(module, name), str(below.value.value)


def amount(value: object) -> str:
    """A bound for people: bytes in powers of two where they are exact."""
    if isinstance(value, int) and value >= 1 << 20 and value % (1 << 20) == 0:
        return f"{value >> 20} MiB"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def limits_page() -> str:
    rows = [(code(name), amount(value), text) for name, value, text in documented_constants(limits)]
    return table(("name", "value", "meaning"), rows)


def error_kinds() -> list[type[errors.HeliosError]]:
    """Every error that Helios raises on purpose, by code."""
    for module in pkgutil.walk_packages(helios.__path__, "helios."):
        if not module.name.startswith("helios.testing"):
            import_module(module.name)
    found: list[type[errors.HeliosError]] = []
    waiting: list[type[errors.HeliosError]] = [errors.HeliosError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    product = (kind for kind in found if not kind.__module__.startswith("helios.testing"))
    # The kernel's own first: others with its code say the same of one place.
    return sorted(product, key=lambda k: (k.code, k.__module__ != errors.__name__, k.__name__))


def errors_page() -> str:
    status = problems.codes()
    rows: dict[str, tuple[str, ...]] = {}
    for kind in error_kinds():
        meaning = from_docstring(kind.__doc__ or "").split("\n\n")[0]
        if kind is errors.HeliosError:
            meaning = "Something that Helios did not foresee; its log has the details."
        again = "yes" if kind.retryable else "no"
        rows.setdefault(
            kind.code, (code(kind.code), str(status.get(kind.code, "")), again, meaning)
        )
    return table(
        ("code", "HTTP status", "same call may succeed later", "meaning"), [*rows.values()]
    )


def metrics_page() -> str:
    text = metrics.Metrics().render().decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    told = re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE)
    rows = [(code(name), kinds[name], meaning) for name, meaning in told]
    return table(("metric", "type", "meaning"), rows)


_WHOSE = {
    "path": "the client in the path",
    "one": "the client in `client_id`, or `default`",
    "any": "the client in `client_id`, or all that one may",
    "body": "the clients that the request names",
    "setting": "of a contract the client in `client_id`, or `default`; else that client, or all "
    "clients, and for admins alone",
    "none": "",
    "installation": "all clients: needs a grant for all of them",
}
_OPEN = {
    "public": "everybody",
    "door": "the secret of the source",
    "ingest": "an ingest secret",
    "signed_in": "everybody who is signed in",
}


def who_may(needs: model.Permission | access_rules.Open) -> tuple[str, str]:
    """Who needs no role, and the roles that suffice."""
    if needs == "ingest":
        return _OPEN[needs], roles_with(model.Permission.INGEST)
    if isinstance(needs, model.Permission):
        return "", roles_with(needs)
    return _OPEN[needs], ""


def roles_with(permission: model.Permission) -> str:
    return ", ".join(role for role in model.ROLES if permission in model.PERMISSIONS[role])


def access_page() -> str:
    rows = []
    for (method, path), rule in access_rules.TABLE.items():
        if path in {*console.PATHS, console.ASSET, console.LOST}:
            continue
        bound = "its own" if rule.environment == "handler" else "the stack's"
        acts = rule.needs not in ("read", *_OPEN)
        is_bound = acts and ("{stack}" in path or rule.environment == "handler")
        within = bound if is_bound else "all" if acts or rule.needs == "ingest" else ""
        open_to, roles = who_may(rule.needs)
        rows.append((code(f"{method} {path}"), open_to or roles, _WHOSE[rule.where], within))
        if open_to and roles:
            rows[-1] = (rows[-1][0], f"{open_to}, or {roles}", *rows[-1][2:])
    return table(("operation", "who", "whose data", "environment"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "cli": cli_page,
    "http": http_page,
    "settings": settings_page,
    "limits": limits_page,
    "errors": errors_page,
    "metrics": metrics_page,
    "access": access_page,
}


def renewed(text: str) -> str:
    """A page with its generated parts written anew."""

    def block(match: re.Match[str]) -> str:
        name = match[1]
        if name not in BLOCKS:
            raise SystemExit(f"no generator is called {name!r}; there are {', '.join(BLOCKS)}")
        return f"<!-- generated: {name} -->\n\n{BLOCKS[name]()}\n\n<!-- end -->"

    return MARK.sub(block, text)


def outdated() -> dict[Path, str]:
    """Pages that differ from the code, with what they should say."""
    pages = {page: page.read_text(encoding="utf-8") for page in sorted(PAGES.glob("*.md"))}
    return {page: new for page, old in pages.items() if (new := renewed(old)) != old}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    pages = outdated()
    for page, text in pages.items():
        print(f"{'differs from the code' if options.check else 'written'}: {page.name}")
        if not options.check:
            page.write_text(text, encoding="utf-8")
    if options.check and pages:
        sys.exit("run `make reference` and commit what it writes")


if __name__ == "__main__":
    main()
