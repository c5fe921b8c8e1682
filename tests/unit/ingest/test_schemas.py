from typing import Any

import pytest

from helios.ingest import schemas, sources
from helios.kernel import errors

ORDER = {
    "type": "object",
    "required": ["lines"],
    "properties": {
        "amount": {"type": "number", "minimum": 0},
        "lines": {"type": "array", "items": {"properties": {"sku": {"type": "string"}}}},
    },
}


def declared(schema: Any = ORDER, **given: Any) -> sources.Declared:
    return sources.Declared(name="shop", provider="p", schemas={"order": schema}, **given)


def test_a_fault_is_named_with_its_path_and_without_the_value() -> None:
    kept = schemas.Schemas()
    fault = kept.fault(declared(), "order", b'{"lines":[{"sku":"a"},{"sku":4711}]}')
    assert fault == 'payload.lines[1].sku: the value is not of type "string"'
    assert kept.fault(declared(), "order", b'{"lines":[{"sku":"a"}],"amount":1}') is None


def test_a_type_without_a_schema_fits() -> None:
    assert schemas.Schemas().fault(declared(), "refund", b'{"amount":-1}') is None


def test_the_next_declaration_counts_at_once() -> None:
    kept = schemas.Schemas()
    assert kept.fault(declared(version=1), "order", b"{}") is not None
    assert kept.fault(declared(schema=True, version=2), "order", b"{}") is None
    assert kept.fault(declared(schema=False, version=2), "order", b"{}") is not None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"$ref": "http://169.254.169.254/latest/meta-data"},
        {"$ref": "https://example.com/order.json"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"pattern": "("}}},
        "order.json",
        None,
        [],
    ],
)
def test_what_is_no_schema_or_refers_elsewhere_is_refused(schema: Any) -> None:
    with pytest.raises(errors.InvalidInputError, match="JSON Schema"):
        schemas.compiled(schema)


def test_a_reference_within_the_document_works() -> None:
    schema = {"$defs": {"id": {"type": "integer"}}, "properties": {"id": {"$ref": "#/$defs/id"}}}
    fault = schemas.Schemas().fault(declared(schema), "order", b'{"id":"x"}')
    assert fault == 'payload.id: the value is not of type "integer"'


def test_a_pattern_takes_no_more_than_linear_time() -> None:
    schema = {"properties": {"a": {"pattern": "^(a+)+$"}}}
    # Looking back, as most engines of patterns do, this would take until the end of days.
    fault = schemas.Schemas().fault(declared(schema), "order", b'{"a":"%s!"}' % (b"a" * 50_000))
    assert fault is not None
