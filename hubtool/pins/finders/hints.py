"""Which files can hold no pin: told from their bytes in microseconds, so that most are never parsed.

Says yes too often, never no too often: a pin needs a key that ends in "tag", a key that speaks of an image and a value,
or a word with a colon and a tag after it.
"""

from __future__ import annotations

import re

from hubtool.pins.formats.kinds import Kind
from hubtool.pins.formats.text import MAX_BYTES

# No text that these bytes stand in is UTF-8: to be read, so that it is said.
_NOT_UTF8 = (b"\0", b"\xff", b"\xfe")
_TAG_KEY = re.compile(rb"tag[\"']?\s*[:=]")
_SET_KEY = re.compile(rb"name[\"']?\s*[:=]\s*[\"']?[\w.-]+\.\w*tag\b")
_IMAGE_KEY = re.compile(rb"image(?:s|_?name|_?spec|_?ref|_?reference)?[\"']?\s*[:=](?!\s*\{\s*\})")
_TAGGED = re.compile(rb"(?<=[a-z0-9]):[a-z0-9_]")
_STARTS = frozenset(bytes([byte]) for byte in b"abcdefghijklmnopqrstuvwxyz0123456789_")
# Keys that are written otherwise than they read: escaped, an alias, on a line of their own.
_ESCAPED = re.compile(rb"\\[xu][0-9a-f]{2}")
_ODD_KEY = re.compile(rb"(?:^|[-{,\[])[ \t]*(?:\?\s|\*[^\s,]+\s*:\s)", re.MULTILINE)
_BREAK = re.compile(rb"[\s\"'\[\]{},]")
_WORD = 600
_LINE = 1000
_MANY = 100


def may_hold_pins(data: bytes, kind: Kind | None) -> bool:
    """Whether DATA, a file of KIND, may hold a pin or the name of one."""
    if len(data) > MAX_BYTES or kind == "links":
        return True  # and is told why it is not read
    low = data.lower()
    if any(mark in low for mark in _NOT_UTF8):
        return True
    speaks = b"image" in low or (kind == "hcl" and b"tag" in low)  # a variable's name is no key there
    if (b"tag" in low and (_has(_TAG_KEY, low) or _has(_SET_KEY, low))) or (
        speaks and (kind == "hcl" or _has(_IMAGE_KEY, low))
    ):
        return True
    if _has_reference(low, slash=not (speaks or b"container" in low)):
        return True
    if (b"\\x" in low or b"\\u" in low) and _ESCAPED.search(low):
        return True
    return (b"?" in low or b"*" in low) and bool(_ODD_KEY.search(low))


def _has_reference(low: bytes, *, slash: bool) -> bool:
    """Whether a word has a colon and a tag after it; with SLASH, a "/" before them too."""
    if _STARTS.isdisjoint({part[:1] for part in low.split(b":")[1:]}):
        return False
    for number, found in enumerate(_TAGGED.finditer(low)):
        at = found.start()
        word = _BREAK.split(low[max(at - _WORD, 0) : at])[-1]
        if number > _MANY or (word and (b"/" in word or not slash) and not _in_comment(low, at)):
            return True
    return False


def _has(key: re.Pattern[bytes], low: bytes) -> bool:
    return any(not _in_comment(low, found.start()) for found in key.finditer(low))


def _in_comment(low: bytes, at: int) -> bool:
    """Whether the line that AT is in is a comment and nothing else, in YAML and in HCL; no for a very long one."""
    first = max(at - _LINE, 0)
    begin = max(low.rfind(b"\n", first, at), low.rfind(b"\r", first, at))
    if begin < 0 and first:
        return False
    line = low[begin + 1 : at]
    # Some of what is not ASCII ends a line, too.
    return line.lstrip().startswith(b"#") and line.isascii()
