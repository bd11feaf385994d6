"""Images of one layer, made by hand, for what needs only their files."""

from __future__ import annotations

import functools
import io
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any

from hubtool.image.files import ImageFiles


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: Any) -> tarfile.TarInfo:
    """The header of one entry; MORE are attributes of tarfile's TarInfo."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info


def image_of(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> ImageFiles:
    """An image of these entries and contents, in this order."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return ImageFiles([functools.partial(io.BytesIO, stream.getvalue())])


def image_with(files: Mapping[str, bytes], **more: Any) -> ImageFiles:
    """An image of these files; a name that ends in "/" is a folder."""
    kinds = {name: tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE for name in files}
    return image_of((member(name.rstrip("/"), kinds[name], **more), content) for name, content in files.items())
