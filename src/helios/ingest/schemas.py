"""JSON Schema at the gate: what an event of a type must look like.

Schemas are compiled once for each declaration of a source. Nothing is fetched for them: a `$ref`
out of the document is refused when it is declared, and a pattern cannot take more than linear time.
"""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import msgspec

from helios.ingest import sources
from helios.kernel import errors

SOURCES_MAX = 1_000
"""Declarations whose schemas are kept compiled. Above: all are forgotten and compiled anew."""

DETAIL_CHARS_MAX = 300

_decode = msgspec.json.Decoder().decode
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=1 << 20)


def compiled(schema: Any, *, field: str = "schema") -> jsonschema_rs.Validator:
    """A validator.

    Raises:
        InvalidInputError: it is not a JSON Schema, or refers to what is outside of it.
    """
    if not isinstance(schema, Mapping | bool):
        raise errors.InvalidInputError("expected a JSON Schema (an object)", field=field)
    try:
        return jsonschema_rs.validator_for(
            dict(schema) if isinstance(schema, Mapping) else schema,
            mask="the value",
            offline=True,
            pattern_options=_PATTERNS,
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        line = str(error).partition("\n")[0][:DETAIL_CHARS_MAX]
        raise errors.InvalidInputError(f"not a usable JSON Schema: {line}", field=field) from None


class Schemas:
    """The compiled schemas of the sources that deliveries come for."""

    def __init__(self) -> None:
        self._kept: dict[
            tuple[str, str], tuple[sources.Declared, Mapping[str, jsonschema_rs.Validator]]
        ] = {}

    def fault(self, source: sources.Declared, event_type: str, payload: bytes) -> str | None:
        """What is wrong with a payload, with the path of the fault; None when it fits.

        An event type without a schema fits. `payload` is JSON.
        """
        if event_type not in source.schemas:
            return None
        validator = self._of(source)[event_type]
        for found in validator.iter_errors(_decode(payload)):
            path = "".join(_step(step) for step in found.instance_path)
            return f"payload{path}: {found.message}"[:DETAIL_CHARS_MAX]
        return None

    def _of(self, source: sources.Declared) -> Mapping[str, jsonschema_rs.Validator]:
        key = (source.client_id, source.name)
        kept = self._kept.get(key)
        if kept is None or not (
            kept[0] is source
            or (kept[0].version == source.version and kept[0].schemas == source.schemas)
        ):
            made = {
                event_type: compiled(schema, field=f"schemas.{event_type}")
                for event_type, schema in source.schemas.items()
            }
            if len(self._kept) >= SOURCES_MAX:
                self._kept.clear()
            kept = self._kept[key] = (source, made)
        return kept[1]


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"
