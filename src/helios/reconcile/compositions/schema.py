"""JSON Schema of both documents, for editors; `document` and `policy_document` check more."""

from typing import Any

from helios.reconcile.compositions import (
    composition,
    document,
    kinds,
    policy,
    policy_document,
    shapes,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Tree = dict[str, Any]


def schema() -> Tree:
    """A declaration of a stack, or a policy."""
    return {"$schema": DIALECT, "oneOf": [of_composition(), of_policy()]}


def of_composition() -> Tree:
    """`blackwell.yaml`."""
    integration = shapes.schema(document.INTEGRATION, ("provider",))
    content = shapes.schema(document.CONTENT)
    spec = {
        "providers": _table(
            {"anyOf": [{"type": "string"}, shapes.schema(document.PROVIDER, ("name",))]}
        ),
        "integrations": _table(integration),
        "resources": {
            "type": "object",
            "properties": {
                name: {"anyOf": [{"type": "string"}, _resource(kind, is_required=False)]}
                for name, kind in kinds.WELL_KNOWN.items()
            },
            "additionalProperties": {"oneOf": [_resource(kind) for kind in kinds.KINDS]},
        },
        "content": {
            "anyOf": [
                _table({"anyOf": [{"type": "null"}, content]}),
                {"type": "array", "items": {"type": "string"}},
            ]
        },
    }
    return _document(
        composition.API_VERSION,
        composition.KIND,
        shapes.schema(document.METADATA, ("stack_id",)),
        {"type": "object", "additionalProperties": False, "properties": spec},
    )


def of_policy() -> Tree:
    """A `ReconciliationPolicy`, with its fields under `spec`."""
    read = policy_document
    channel = {
        "oneOf": [
            shapes.schema({"type": shapes.word(kind), **known}, required)
            for kind, (known, required) in read.CHANNELS.items()
        ]
    }
    channels = {"anyOf": [{"type": "array", "items": channel}, {"type": "object"}]}
    window = shapes.schema(read.WINDOW, ("kind", "duration"))
    severity = {"type": "object", "additionalProperties": {"type": "string"}}
    fields = {
        "schedule": shapes.schema(read.SCHEDULE),
        "auto_heal": {"anyOf": [{"type": "boolean"}, shapes.schema(read.AUTO_HEAL)]},
        "maintenance_windows": {"type": "array", "items": window},
        "notifications": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"channels": channels},
            "required": ["channels"],
        },
        "observability": shapes.schema(read.OBSERVABILITY),
        "approvals": shapes.schema(read.APPROVALS),
        "severities": severity,
        "ignore": {"type": "array", "items": shapes.schema(read.RULE, ("owner", "reason"))},
        "ownership": {"type": "array", "items": shapes.schema(read.OWNED, tuple(read.OWNED))},
        "require_environment": dict(document.METADATA["environment"].schema),
        "rollback_on_failure": {"type": "boolean"},
    }
    return _document(
        policy.API_VERSION,
        policy.KIND,
        shapes.schema(read.METADATA, ("stack_id",)),
        {"type": "object", "additionalProperties": False, "properties": fields},
    )


def _table(value: Tree) -> Tree:
    return {"type": "object", "additionalProperties": value}


def _resource(kind: str, *, is_required: bool = True) -> Tree:
    known = kinds.fields(kind)
    made = shapes.schema(known, ("kind",) if is_required else ())
    made["properties"]["kind"] = {"const": kind}
    places = kinds.KINDS[kind].places
    return {**made, "anyOf": [{"required": [name]} for name in places]} if places else made


def _document(version: str, kind: str, metadata: Tree, spec: Tree) -> Tree:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": version},
            "kind": {"const": kind},
            "metadata": metadata,
            "spec": spec,
        },
    }
