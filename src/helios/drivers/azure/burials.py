"""Reads what Event Grid gave up from the storage container where it puts its dead letters."""

import email.utils
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any
from xml.etree import ElementTree as ET

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, outbound

VERSION = "2023-11-03"
SCOPE = "https://storage.azure.com/.default"
LIST_BYTES_MAX = 16 << 20
BLOB_BYTES_MAX = 2 << 20
ATTEMPTS = 3
PAGES_MAX = 10_000


class Blob(msgspec.Struct, frozen=True):
    """One dead letter: its name, and when it was put there."""

    name: str
    at: clocks.Timestamp


class Container:
    """A container of Blob Storage.

    Args:
        client: for calls.
        url: of the container.
        sas: the query that lets us read it; empty: a token does, or everybody may.
        token: of Entra, for this storage.
    """

    def __init__(
        self, client: outbound.Outbound, url: str, *, sas: str = "", token: str | None = None
    ) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._sas = sas.lstrip("?")
        self._headers: tuple[tuple[str, str], ...] = (("x-ms-version", VERSION),)
        if token is not None:
            self._headers += (("Authorization", f"Bearer {token}"),)

    async def blobs(self) -> AsyncIterator[Blob]:
        """All there are, by name.

        Raises:
            InvalidInputError: we may not read them, or there is no such container.
            StorageError, OutboundError: the storage is away.
        """
        marker = ""
        for _ in range(PAGES_MAX):
            query = {"restype": "container", "comp": "list"}
            if marker:
                query["marker"] = marker
            page = await self._get("", urllib.parse.urlencode(query), LIST_BYTES_MAX)
            found, marker = listed(page)
            for blob in found:
                yield blob
            if not marker:
                return

    async def read(self, blob: Blob) -> bytes:
        """Raises as `blobs`."""
        return await self._get(f"/{urllib.parse.quote(blob.name)}", "", BLOB_BYTES_MAX)

    async def _get(self, path: str, query: str, bytes_max: int) -> bytes:
        asked = "&".join(filter(None, (query, self._sas)))
        answer = await self._client.send(
            outbound.Call(
                url=f"{self._url}{path}?{asked}" if asked else f"{self._url}{path}",
                headers=self._headers,
                bytes_max=bytes_max,
                attempts=ATTEMPTS,
            )
        )
        if answer.ok:
            return answer.body
        said = f"the storage of dead letters answers {answer.status}"
        if answer.status in (401, 403, 404):
            raise errors.InvalidInputError(f"{said}: see dead_letters_url and its credentials")
        raise errors.StorageError(said)


def listed(page: bytes) -> tuple[list[Blob], str]:
    """The blobs of one page of a list, and where the next page begins.

    Raises:
        StorageError: it is no such page.
    """
    problem = errors.StorageError("the storage of dead letters lists them in no form we know")
    # Neither belongs into such a list, and both can make a small text large.
    if b"<!DOCTYPE" in page or b"<!ENTITY" in page:
        raise problem
    try:
        root = ET.fromstring(page.removeprefix(b"\xef\xbb\xbf"))  # noqa: S314 - see above
        found = [_blob(each) for each in root.iterfind("Blobs/Blob")]
    except (ET.ParseError, ValueError, TypeError):
        raise problem from None
    return found, root.findtext("NextMarker") or ""


def _blob(element: Any) -> Blob:
    at = email.utils.parsedate_to_datetime(element.findtext("Properties/Last-Modified"))
    return Blob(element.findtext("Name"), clocks.from_datetime(at))
