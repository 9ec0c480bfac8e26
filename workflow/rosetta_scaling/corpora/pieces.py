"""Clean texts, and cut them into documents."""

from collections.abc import Iterator

# Control characters (C0 without tab and newline, DEL, C1) are no text: tokenizers and reports stumble over them.
CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])


def clean(text: str) -> str:
    """Universal newlines become a line feed, control characters go; nothing else changes."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(CONTROLS)


def cut(text: str, max_bytes: int) -> Iterator[str]:
    """Pieces of at most max_bytes UTF-8 bytes that join to `text`.

    A piece ends after the last empty line, else newline, else space in its second half, else inside a word.
    """
    data = text.encode()
    start = 0
    while len(data) - start > max_bytes:
        end = start + max_bytes
        for boundary in (b"\n\n", b"\n", b" "):
            found = data.rfind(boundary, start + max_bytes // 2, end)
            if found >= 0:
                end = found + len(boundary)
                break
        else:
            while data[end] & 0xC0 == 0x80:  # 10xxxxxx: the middle of a character
                end -= 1
        yield data[start:end].decode()
        start = end
    yield data[start:].decode()
