"""Images in other layers: made by hand for what the layers are, built by a real engine for what a container sees."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uv
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.engines import ContainerSpec, Engine, EngineBuild, get_engine
from hubtool.image.archive import Archive
from hubtool.image.files import Entry, ImageFiles
from hubtool.image.layout import Layout
from hubtool.image.owners import find_owners
from hubtool.image.packages import Ownership, Package
from hubtool.image.relayer import NewImage, NewLayer, relayer
from hubtool.image.times import CREATED, HEAD, Times
from tests.image.archives import manifest_of, sha256
from tests.image.layers import image_with

CONFIG: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2026-01-02T03:04:05Z",
    "config": {"Env": ["A=b"], "Labels": {"x": "y"}},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]},
    "history": [{"created_by": "RUN make"}, {"created_by": "ENV A=b", "empty_layer": True}],
    "variant": "v8",
    "moby.buildkit.cache.v0": "layers as they were built",
}


def content(layer: NewLayer) -> bytes:
    out = io.BytesIO()
    layer.write_tar(out)
    return out.getvalue()


def members(layer: NewLayer) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content(layer)), errors="surrogateescape") as tar:
        return tar.getmembers()


def flattened(image: NewImage) -> ImageFiles:
    return ImageFiles([functools.partial(io.BytesIO, content(layer)) for layer in image.layers])


def seen(files: ImageFiles, after: Times | None = None) -> dict[str, tuple[Entry, str]]:
    """All that a container sees of each path, but times; a file's content as AFTER has it."""
    found = {}
    for path, entry in files.visible.items():
        data = files.read(entry, entry.size)
        if after is not None:
            data = after.head(entry, data[:HEAD]) + data[HEAD:]
        digest = hashlib.sha256(data).hexdigest()
        known = replace(entry, layer=0, offset=0, mtime=0)
        found[path] = (known, digest)
    return found


def packages_of(*paths: str) -> Ownership:
    """Each file is a package's, whose name is the first part of the path; below var is what changes always."""
    owner = {path: f"pypi:srv:{path.split('/')[0]}" for path in paths if not path.startswith("var/")}
    names = sorted({path.split("/")[0] for path in owner})
    volatile = frozenset(path for path in paths if path.startswith("var/"))
    return Ownership(tuple(Package("pypi", name, "1", "srv") for name in names), owner, volatile)


def in_layers(files: ImageFiles, previous: Layout | None = None, most: int = 64) -> NewImage:
    return relayer(files, CONFIG, packages_of(*files.visible), previous, most=most)


def layout_of(image: NewImage) -> Layout:
    return Layout(tuple(layer.keys for layer in image.layers))


def package(name: str, size: int, fill: bytes = b"x") -> dict[str, bytes]:
    return {f"{name}/": b"", f"{name}/__init__.py": fill * size, f"{name}/data/": b"", f"{name}/data/a": b"a"}


PACKAGES = {
    **package("numpy", 3_000_000),
    **package("scipy", 5_000_000),
    **package("six", 30_000),
    **package("attrs", 2_000_000),
    "var/": b"",
    "var/log": b"built at 12:00",
}


def test_the_config_says_all_that_it_said_and_names_the_new_layers() -> None:
    image = in_layers(image_with(PACKAGES))
    config = json.loads(image.config)
    new = {key: config.pop(key) for key in ("rootfs", "history")}
    assert config == {key: value for key, value in CONFIG.items() if key not in (*new, "moby.buildkit.cache.v0")}
    assert new["rootfs"] == {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]}
    steps = [step for step in new["history"] if step.get("empty_layer")]
    assert [step["created_by"] for step in steps] == ["RUN make", "ENV A=b"]
    ours = [step for step in new["history"] if not step.get("empty_layer")]
    assert len(ours) == len(image.layers)
    assert {step["created"] for step in ours} == {CONFIG["created"]}
    assert any("numpy 1" in step["comment"] for step in ours)


@pytest.mark.parametrize("config", [{}, {"history": None}, {"history": [None, 5], "rootfs": [], "created": 7}])
def test_a_config_with_little_or_nonsense_in_it_is_taken(config: dict[str, Any]) -> None:
    image = relayer(image_with({"a": b""}), config, Ownership((), {}, frozenset()))
    assert len(json.loads(image.config)["history"]) == 1


def test_history_names_a_few_packages_and_counts_the_rest() -> None:
    files = image_with({f"{number:03}{'n' * 90}": b"" for number in range(300)})
    image = in_layers(files, most=2)
    assert all(len(step.get("comment", "")) < 1500 for step in json.loads(image.config)["history"])


def test_layers_are_what_they_say_and_can_be_written_again() -> None:
    for layer in in_layers(image_with(PACKAGES)).layers:
        first = content(layer)
        assert (sha256(first), len(first)) == (layer.diff_id, layer.size)
        assert content(layer) == first


def test_each_layer_has_the_folders_above_its_files_and_no_whiteouts() -> None:
    for layer in in_layers(image_with(PACKAGES)).layers:
        there = set()
        for member in members(layer):
            folder = member.name.rpartition("/")[0]
            assert not folder or folder in there
            assert not member.name.rpartition("/")[2].startswith(".wh.")
            assert member.mtime == CREATED
            there.add(member.name)


def changed(before: NewImage, after: NewImage) -> list[NewLayer]:
    known = {layer.diff_id for layer in before.layers}
    return [layer for layer in after.layers if layer.diff_id not in known]


@pytest.mark.parametrize("name", ["numpy", "six"])
def test_one_package_changed_changes_one_layer_and_the_volatile_one(name: str) -> None:
    before = in_layers(image_with(PACKAGES, mtime=5))
    new = {**PACKAGES, **package(name, 2_500_000, b"y"), "var/log": b"built at 13:00"}
    after = in_layers(image_with(new, mtime=7), layout_of(before))
    moved = changed(before, after)
    assert {key for layer in moved for key in layer.keys} >= {f"pypi:srv:{name}", "volatile"}
    assert len(moved) == 2
    assert layout_of(after) == layout_of(before)


def test_a_build_that_changed_nothing_but_times_changes_no_layer() -> None:
    before = in_layers(image_with(PACKAGES, mtime=5))
    after = in_layers(image_with(dict(reversed(PACKAGES.items())), mtime=7))
    assert before.config == after.config


def test_an_image_without_files_has_no_layers() -> None:
    assert in_layers(ImageFiles([])).layers == ()


names = st.sampled_from(["a", "b", "c", "var", "lib", "x.py"])
sizes = st.sampled_from([0, 1, 513, 2_000_000])
trees = st.dictionaries(st.lists(names, min_size=1, max_size=4).map("/".join), sizes, max_size=12)


@settings(max_examples=60, deadline=None)
@given(trees, st.integers(2, 6), st.booleans())
def test_every_file_is_in_one_layer_and_the_layers_together_are_the_image(
    tree: dict[str, int], most: int, again: bool
) -> None:
    leaves = [path for path in tree if not any(other.startswith(f"{path}/") for other in tree)]
    whole = {path: path.encode() * (tree[path] // len(path)) for path in leaves}
    files = image_with(whole)
    previous = layout_of(in_layers(image_with(dict(list(whole.items())[::2])), most=most)) if again else None
    image = in_layers(files, previous, most)
    assert len(image.layers) <= most
    found = [member.name for layer in image.layers for member in members(layer) if not member.isdir()]
    assert sorted(found) == sorted(whole)
    assert seen(flattened(image)) == seen(files)


DOCKERFILE = """\
FROM {base}
RUN python3 -m venv --without-pip /srv/venv && useradd --uid 1000 --create-home jovyan
COPY uv ca.crt /tmp/uv/
RUN SSL_CERT_FILE=/tmp/uv/ca.crt UV_NO_CACHE=1 /tmp/uv/uv pip install -q --compile-bytecode \\
 --python /srv/venv/bin/python {packages} && rm -r /tmp/uv
RUN mkdir -m 2775 /srv/shared && chown 1000:100 /srv/shared && mkfifo /srv/fifo && mknod /srv/zero c 1 5 \\
 && echo hello > /srv/twin && ln /srv/twin /srv/shared/twin && ln -s nowhere /srv/dangling \\
 && cp /bin/true /srv/capped && chmod 4755 /srv/capped && mkdir -p /srv/{long} && echo gone > /srv/gone \\
 && python3 -c "import os; open(b'/srv/caf\\xe9', 'w'); os.setxattr( \\
    '/srv/capped', 'security.capability', bytes.fromhex('0100000200040000' + '00' * 12))"
RUN rm /srv/gone /usr/share/common-licenses/GPL-3 && date +%N > /var/log/built
USER jovyan
ENV ANSWER=42
"""
LONG = "/".join(["a" * 50] * 6)


@dataclass
class Built:
    """An image as the engine built it, and in other layers."""

    archive: Archive
    files: ImageFiles
    image: NewImage


def build(engine: Engine, base: str, tag: str, packages: str, folder: Path, previous: Layout | None = None) -> Built:
    dockerfile = DOCKERFILE.format(base=base, packages=packages, long=LONG)
    (folder / "Dockerfile").write_text(dockerfile)
    shutil.copy(uv.find_uv_bin(), folder)
    shutil.copy(certificates(), folder / "ca.crt")
    for _ in engine.build(EngineBuild(tag=tag, context=folder, network="host")):
        pass
    return relayered(engine, tag, folder, previous)


def certificates() -> str:
    return os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"


def relayered(engine: Engine, tag: str, folder: Path, previous: Layout | None = None) -> Built:
    target = folder / "image.tar"
    engine.export(tag, target)
    archive = Archive(target)
    target.unlink()
    files = ImageFiles([layer.open_tar for layer in archive.layers])
    return Built(archive, files, relayer(files, archive.config, find_owners(files), previous))


def load(engine: Engine, image: NewImage, tag: str, folder: Path) -> None:
    names = [f"{layer.diff_id[7:]}.tar" for layer in image.layers]
    blobs = {"config.json": image.config, "manifest.json": manifest_of("config.json", names, [tag])}
    with tarfile.open(folder / "new.tar", "w") as tar:
        for name, data in [*zip(names, map(content, image.layers), strict=True), *blobs.items()]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    engine.load(folder / "new.tar")


@dataclass
class Pair:
    """The same image twice in an engine: as it was built, and, as TAG-layers, in other layers."""

    engine: Engine
    base: str
    tag: str
    built: Built

    def outputs(self, *argv: str, user: str = "root") -> list[tuple[int, str]]:
        """What a program gives in a container of each."""
        found = []
        for tag in (self.tag, f"{self.tag}-layers"):
            container = self.engine.run(ContainerSpec(tag, command=["sleep", "600"], user=user, network="none"))
            try:
                done = container.exec(argv)
            finally:
                container.remove()
            found.append((done.returncode, done.stdout + done.stderr))
        return found


@pytest.fixture(scope="module")
def pair(docker_host: str, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    engine = get_engine("docker")
    tag, folder = "hubtool-test-relayer:1", tmp_path_factory.mktemp("relayer")
    built = build(engine, base_image, tag, "attrs==25.3.0 six==1.16.0", folder)
    load(engine, built.image, f"{tag}-layers", folder)
    yield Pair(engine, base_image, tag, built)
    engine.remove_image(tag)
    engine.remove_image(f"{tag}-layers")


@pytest.mark.engine
def test_every_file_is_as_it_was_in_what_the_engine_made_of_the_new_layers(pair: Pair, tmp_path: Path) -> None:
    pair.engine.export(f"{pair.tag}-layers", tmp_path / "again.tar")
    with Archive(tmp_path / "again.tar") as archive:
        after = ImageFiles([layer.open_tar for layer in archive.layers])
        found, expected = seen(after), seen(pair.built.files, Times(pair.built.files))
        assert sorted(found.keys() ^ expected.keys()) == []
        assert {path: found[path] for path in found if found[path] != expected[path]} == {}
        assert {entry.mtime for entry in after.visible.values()} == {CREATED}
        kinds = {entry.kind for entry in after.visible.values()}
        assert kinds == {"file", "folder", "link", "fifo", "char"}
        capped = after.visible["srv/capped"]
        assert (capped.mode, bool(capped.xattrs)) == (0o4755, True)
        twins = {after.visible[path].twin for path in ("srv/twin", "srv/shared/twin")}
        assert twins == {"", "srv/shared/twin"}
        assert {"srv/caf\udce9", f"srv/{LONG}"} <= set(after.visible)


COMMANDS = {
    "python": ["/srv/venv/bin/python", "-c", "import attr, six; print(attr.__version__, six.__version__)"],
    "dpkg": ["dpkg", "--verify"],
    "locale and linker": ["sh", "-c", "locale -a; ldconfig -p | sort"],
    "modes": ["sh", "-c", "stat -c '%n %a %u %g %t %T' /srv/* /tmp /var/tmp /home/jovyan; stat -c %h /srv/twin"],
    "environment": ["sh", "-c", "echo $ANSWER; pwd; id"],
}


@pytest.mark.engine
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_container_does_the_same(pair: Pair, command: list[str]) -> None:
    before, after = pair.outputs(*command)
    assert before == after


@pytest.mark.engine
def test_python_compiles_nothing_again(pair: Pair) -> None:
    script = "import subprocess, sys; import attr, six, json.tool, email.mime, xml.dom"
    for code, output in pair.outputs("/srv/venv/bin/python", "-v", "-c", script):
        assert code == 0
        assert "site-packages/__pycache__/six." in output
        assert "# wrote" not in output
        compiled = [line for line in output.splitlines() if line.startswith("# code object from /")]
        assert [line for line in compiled if "site-packages" in line] == []


@pytest.mark.engine
def test_the_new_layers_relayered_again_are_the_same(pair: Pair, tmp_path: Path) -> None:
    again = relayered(pair.engine, f"{pair.tag}-layers", tmp_path, layout_of(pair.built.image))
    assert [layer.diff_id for layer in again.image.layers] == [layer.diff_id for layer in pair.built.image.layers]
    again.archive.close()


@pytest.mark.engine
def test_another_version_of_a_package_changes_its_layer_and_the_volatile_one(pair: Pair, tmp_path: Path) -> None:
    before = pair.built.image
    after = build(
        pair.engine, pair.base, "hubtool-test-relayer:2", "attrs==25.3.0 six==1.17.0", tmp_path, layout_of(before)
    )
    moved = changed(before, after.image)
    assert any("pypi:srv/venv/lib/python3.11/site-packages:six" in layer.keys for layer in moved), moved
    assert all("volatile" in layer.keys or any(key.endswith(":six") for key in layer.keys) for layer in moved)
    after.archive.close()
    pair.engine.remove_image("hubtool-test-relayer:2")
