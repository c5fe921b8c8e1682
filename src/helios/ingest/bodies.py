"""Request bodies: decompressed under a cap, split into items."""

import zlib

from helios.kernel import errors, limits

_SMALL_BYTES = 64 << 10
"""Below this size a high ratio is no attack."""


def inflate(data: bytes, encoding: str | None, *, bytes_max: int) -> bytes:
    """Undo the `Content-Encoding` of a body.

    Args:
        data: what came over the wire.
        encoding: value of the header; None or `identity` leaves the data alone.
        bytes_max: most bytes that may come out. The decompressor is stopped there, so a bomb costs
            no more memory than a body of the allowed size.

    Raises:
        TooLargeError: more than `bytes_max` come out, or the ratio is that of a bomb.
        InvalidInputError: damaged, cut off, or an encoding that is not understood.
    """
    if encoding is None or encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip"):
        raise errors.InvalidInputError(
            f"content encoding {encoding!r} is not understood; send gzip or none",
            field="Content-Encoding",
        )
    bound = min(bytes_max, max(_SMALL_BYTES, len(data) * limits.INFLATE_RATIO_MAX))
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(data, bound + 1)
    except zlib.error as error:
        raise errors.InvalidInputError(f"the gzip body is damaged: {error}") from error
    if len(plain) > bound:
        raise errors.TooLargeError(
            f"the body inflates to more than {bound} bytes, which is more than is taken"
        )
    if not inflater.eof:
        raise errors.InvalidInputError("the gzip body is cut off")
    if inflater.unused_data:
        raise errors.InvalidInputError("something follows the gzip body")
    return plain
