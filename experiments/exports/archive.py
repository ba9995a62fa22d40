"""A zip file that is written while it is sent, so that a million rows need no memory. Pure."""

from collections.abc import Iterable, Iterator
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

# Compressing and sending a few lines at a time would take longer than writing them.
_CHUNK = 1 << 16
# Equal content gives an equal file, at whatever time it is made.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o644 << 16


def zip_parts(files: Iterable[tuple[str, Iterable[str]]]) -> Iterator[bytes]:
    """Yield the bytes of a zip file with these texts, each given by its name and its parts."""
    sent = _Sent()
    # ZipFile finds that it cannot go back in such a file, and writes sizes after the content.
    with ZipFile(sent, "w", ZIP_DEFLATED) as archive:
        for name, texts in files:
            about = ZipInfo(name, _NO_TIME)
            about.compress_type, about.external_attr = ZIP_DEFLATED, _READABLE
            with archive.open(about, "w", force_zip64=True) as file:
                for chunk in _chunks(texts):
                    file.write(chunk)
                    yield sent.taken()
    yield sent.taken()


def _chunks(texts: Iterable[str]) -> Iterator[bytes]:
    parts: list[str] = []
    size = 0
    for text in texts:
        parts.append(text)
        size += len(text)
        if size >= _CHUNK:
            yield "".join(parts).encode()
            parts, size = [], 0
    yield "".join(parts).encode()


class _Sent:
    """A file that keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def flush(self) -> None:
        """Do nothing: the bytes are taken at any time."""

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
