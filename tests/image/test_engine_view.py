"""What we say that a container sees, beside what a real engine's container sees."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import docker
import pytest

from hubtool.image.archive import Archive
from hubtool.image.files import ImageFiles
from tests.image.archives import old_members, write_tar

pytestmark = pytest.mark.engine

ADDED = ("dev", "proc", "sys", "etc", ".dockerenv")  # by the engine, to every container
CAPABILITY = "\1\0\0\2\0\x20" + "\0" * 14  # cap_net_raw+ep; of attributes, docker exports no others
Seen = dict[str, tuple[Any, ...]]


def member(name: str, content: bytes = b"", **header: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime, info.size = 0o644, 1_700_000_000, len(content)
    for key, value in header.items():
        setattr(info, key, value)
    return info, content


def folder(name: str, mode: int = 0o755, **header: Any) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE, mode=mode, **header)


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target, mode=0o777)


def hard(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", errors="surrogateescape") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


LAYERS = [
    tar(
        *(folder(name) for name in ("usr", "usr/lib", "opt", "opt/a", "opt/b", "opt/c", "opt/d", "srv")),
        link("lib", "usr/lib"),
        member("lib/through", b"in one layer"),
        member("usr/lib/old", b"1"),
        member("opt/a/kept", b"1", mode=0o4755, uid=1000, gid=100),
        member("opt/a/gone", b"2"),
        member("opt/b/below", b"3"),
        member("opt/c/file", b"4"),
        member("opt/d/x", b"5"),
        member("opt/file", b"6"),
        member("srv/first", b"twins"),
        hard("srv/second", "srv/first"),
        hard("srv/third", "srv/first"),
        link("srv/dangling", "../../nowhere"),
        hard("srv/dangling-twin", "srv/dangling"),
        member("srv/caf\udce9", b"7"),
        member("srv/" + "long" * 40, b"8"),
        member("srv/pipe", type=tarfile.FIFOTYPE),
        member("srv/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("srv/can", b"9", pax_headers={"SCHILY.xattr.security.capability": CAPABILITY}),
    ),
    tar(
        member("opt/a/.wh.gone"),
        folder("opt/b"),
        member("opt/b/.wh..wh..opq"),
        member("opt/b/new", b"10"),
        member("opt/c", b"a file now"),
        member("opt/.wh.d"),
        folder("opt/file", mode=0o1777, uid=5),
        member("opt/file/in", b"11"),
        folder("srv", mode=0o700, gid=7),
        member("srv/first", b"another now"),
        member("srv/.wh.third"),
        member(".wh.nothing"),
    ),
    tar(
        folder("opt"),
        folder("opt/d"),
        member("opt/d/y", b"12"),
        member("opt/c", b"again"),
        member("lib/later", b"12"),
    ),
]


@pytest.fixture
def exported(docker_host: str, tmp_path: Path) -> Iterator[tuple[Path, bytes]]:
    """An archive of LAYERS, and the tar of the files of a container of it."""
    path = write_tar(tmp_path / "a.tar", old_members(LAYERS))
    client = docker.DockerClient(base_url=docker_host)
    image = client.images.load(path.read_bytes())[0]
    try:
        container = client.containers.create(image, command="/none")
        try:
            yield path, b"".join(cast("Iterator[bytes]", container.export()))
        finally:
            container.remove(force=True)
    finally:
        client.images.remove(str(image.id), force=True)
        client.close()


def seen(files: ImageFiles) -> Seen:
    """All that a container could tell of its files; the size and content of hard links are those of their file."""
    return {
        path: (
            entry.kind,
            entry.mode,
            entry.uid,
            entry.gid,
            entry.target,
            entry.device,
            entry.xattrs,
            files.open(entry).read(),
            entry.twin,
            entry.mtime if entry.kind == "file" else 0,
        )
        for path, entry in files.visible.items()
        if path.partition("/")[0] not in ADDED and path
    }


def test_a_container_sees_what_we_say(exported: tuple[Path, bytes]) -> None:
    path, container = exported
    with Archive(path) as archive:
        ours = seen(ImageFiles([layer.open_tar for layer in archive.layers]))
    theirs = seen(ImageFiles([lambda: io.BytesIO(container)]))
    assert ours == theirs
    assert len(ours) > 20


@pytest.mark.slow
def test_a_container_of_a_real_image_sees_what_we_say(base_image: str, docker_host: str, tmp_path: Path) -> None:
    client = docker.DockerClient(base_url=docker_host)
    container = client.containers.create(base_image, command="/none")
    try:
        for name, chunks in (("a", client.images.get(base_image).save()), ("b", container.export())):
            with (tmp_path / name).open("wb") as stream:
                stream.writelines(cast("Iterator[bytes]", chunks))
    finally:
        container.remove(force=True)
        client.close()
    with Archive(tmp_path / "a") as archive:
        archive.check()
        ours = seen(ImageFiles([layer.open_tar for layer in archive.layers]))
    theirs = seen(ImageFiles([lambda: (tmp_path / "b").open("rb")]))
    assert ours == theirs
    assert len(ours) > 1000
