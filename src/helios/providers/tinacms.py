"""TinaCMS (TinaCloud): nothing is signed; a token stands in a header set in the dashboard.

A delivery says which paths of which branch changed, and not what is in them: the content is in Git.
"""

from typing import ClassVar

import msgspec

from helios.providers import authentication, base, ports, reading, tinacms_api


class TinaCms(tinacms_api.TinaApi, authentication.Generic):
    """A project in TinaCloud."""

    name: ClassVar[str] = "tinacms"
    title: ClassVar[str] = "TinaCMS"
    schemes: ClassVar[tuple[str, ...]] = authentication.SCHEMES
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID
    Options: ClassVar[type[msgspec.Struct]] = tinacms_api.ApiOptions

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        project = body.text("clientId")
        usual = ports.Received(
            id=body.text("eventId"),
            type=body.text("type") or self.unnamed,
            aggregate_type="project" if project else None,
            aggregate_id=project,
            payload=body.payload,
            metadata=base.present(branch=body.text("branch")),
        )
        return [self.extracted(delivery, source, body, usual)]
