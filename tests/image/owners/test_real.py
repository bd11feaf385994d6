"""What real programs install, and what they themselves say is whose: dpkg, pip, uv, npm."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import uv

from hubtool.engines import ContainerSpec, get_engine
from hubtool.image.archive import Archive
from hubtool.image.files import ImageFiles
from hubtool.image.owners import find_owners
from hubtool.image.packages import Ownership
from tests.image.owners.images import image_of

DPKG = """
import json, os, subprocess
run = lambda *argv: subprocess.run(argv, check=True, capture_output=True, text=True).stdout
rows = run("dpkg-query", "-W", "-f", "${Package} ${Version} ${binary:Package}\\n").splitlines()
def real(path):
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
def files(package):
    paths = [line for line in run("dpkg", "-L", package).splitlines() if line.startswith("/")]
    return sorted({real(path)[1:] for path in paths if os.path.lexists(path) and not os.path.isdir(real(path))})
print(json.dumps({name: (version, files(full)) for name, version, full in map(str.split, rows)}))
"""


@pytest.mark.engine
def test_a_debian_images_packages_are_those_that_dpkg_tells(base_image: str, tmp_path: Path) -> None:
    engine = get_engine("docker")
    container = engine.run(ContainerSpec(base_image, command=["sleep", "300"]))
    try:
        told = json.loads(container.exec(["python3", "-c", DPKG]).stdout)
    finally:
        container.remove()
    engine.export(base_image, tmp_path / "image.tar")
    with Archive(tmp_path / "image.tar") as archive:
        files = ImageFiles([layer.open_tar for layer in archive.layers])
        found = find_owners(files)
        assert {package.name: package.version for package in found.packages} == {name: told[name][0] for name in told}
        for name, (_, paths) in told.items():
            assert [path for path in paths if found.owner.get(path) != f"dpkg::{name}"] == []
        assert _unowned_share(files, found, "usr/") < 0.05


def _unowned_share(files: ImageFiles, found: Ownership, below: str) -> float:
    sizes = {path: entry.size for path, entry in files.visible.items() if path.startswith(below) and not entry.twin}
    return sum(size for path, size in sizes.items() if path not in found.owner) / sum(sizes.values())


def write_wheel(folder: Path, name: str, files: Mapping[str, str], *needs: str) -> None:
    """A wheel of FILES, with a program and a file of settings."""
    info, data = f"{name}-1.0.dist-info", f"{name}-1.0.data/data"
    whole = {
        **files,
        f"{data}/etc/{name}.conf": "x",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-run = {name}:main\n",
    }
    digests = {path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for path, text in whole.items()}
    record = [f'"{path}",sha256={digest.decode().rstrip("=")},' for path, digest in digests.items()]
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in whole.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,"]))


BACKEND = """
import zipfile
FILES = {
    "__editable__.project-3.0.pth": SOURCE,
    "project-3.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: project\\nVersion: 3.0\\nRequires-Dist: one\\n",
    "project-3.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}
def build_editable(folder, config_settings=None, metadata_directory=None):
    record = "project-3.0.dist-info/RECORD"
    with zipfile.ZipFile(folder + "/project-3.0-py3-none-any.whl", "w") as wheel:
        for path, text in {**FILES, record: "".join(f"{path},,\\n" for path in [*FILES, record])}.items():
            wheel.writestr(path, text)
    return "project-3.0-py3-none-any.whl"
"""
ORACLE = """
import importlib.metadata as m, json, os
out = {}
for dist in m.distributions():
    if dist.metadata["Name"] not in ("pip", "setuptools"):
        paths = [os.path.normpath(dist.locate_file(path)) for path in dist.files]
        out[dist.metadata["Name"]] = (dist.version, [path for path in paths if os.path.exists(path)])
print(json.dumps(out))
"""


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "one", {"one.py": "def main(): pass", "space/one.py": "", "one/a, b.txt": "x"})
    write_wheel(folder, "two", {"two/__init__.py": "def main(): pass", "space/two.py": "", "two/ä.py": ""}, "one>=1")
    return folder


def write_project(root: Path) -> Path:
    project = root / "srv" / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "project.py").write_text("")
    (project / "backend.py").write_text(f"SOURCE = {str(project / 'src')!r}\n{BACKEND}")
    text = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (project / "pyproject.toml").write_text(text + '[project]\nname = "project"\nversion = "3.0"\n')
    return project


@pytest.mark.parametrize("how", ["pip", "uv", "uv compiled"])
def test_a_virtual_environments_packages_are_those_that_python_tells(how: str, wheels: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    project, venv = write_project(root), root / "opt" / "venv"
    python = str(venv / "bin" / "python")
    if how == "pip":
        run(sys.executable, "-m", "venv", venv)
        install = [python, "-m", "pip", "install", "--no-index", "--no-build-isolation"]
    else:
        compiled = ["--compile-bytecode"] if "compiled" in how else []
        run(uv.find_uv_bin(), "venv", "--offline", "--python", sys.executable, venv)
        offline = ["--offline", "--no-index", "--no-cache"]
        install = [uv.find_uv_bin(), "pip", "install", *offline, "--python", python, *compiled]
    run(*install, "--find-links", wheels, "two", "-e", project)
    told = json.loads(run(python, "-c", ORACLE))
    assert sorted(told) == ["one", "project", "two"]

    # In the image not below /tmp, where nothing is taken for installed.
    origin = next(venv.glob("lib/python3*/site-packages/project-3.0.dist-info/direct_url.json"))
    origin.write_text(origin.read_text().replace(str(root), "/srv"))
    found = find_owners(image_of(root, tmp_path, name="srv"))
    site = f"srv/{origin.parent.parent.relative_to(root)}"
    owner = {path.removeprefix("srv/"): key for path, key in found.owner.items()}
    packages = {package.name: package for package in found.packages if package.name not in ("pip", "setuptools")}
    assert {name: package.version for name, package in packages.items()} == {name: told[name][0] for name in told}
    assert packages["two"].depends == packages["project"].depends == (f"pypi:{site}:one",)
    for name, (_, paths) in told.items():
        assert {owner[str(Path(path).relative_to(root))] for path in paths} == {f"pypi:{site}:{name}"}
    assert owner["srv/project/src/project.py"] == f"pypi:{site}:project"
    assert owner["opt/venv/bin/one-run"] == owner["opt/venv/etc/one.conf"] == f"pypi:{site}:one"
    assert {Path(path).name for path in found.volatile} == ({"uv_cache.json"} if "uv" in how else set())


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_global_modules_files_are_all_its_own(tmp_path: Path) -> None:
    inner, outer, root = tmp_path / "inner", tmp_path / "outer", tmp_path / "root"
    write_module(inner, "inner", {})
    run("npm", "pack", cwd=inner)
    write_module(outer, "@me/outer", {"dependencies": {"inner": f"file:{inner}/inner-1.0.0.tgz"}, "bin": "cli.js"})
    run("npm", "pack", cwd=outer)
    offline = ["--offline", f"--cache={tmp_path}/cache", f"--prefix={root}/usr"]
    run("npm", "install", "--global", *offline, outer / "me-outer-1.0.0.tgz")
    found = find_owners(image_of(root, tmp_path))
    assert [package.key for package in found.packages] == ["npm:usr/lib/node_modules:@me/outer"]
    paths = [path for path in root.rglob("*") if not path.is_dir()]
    assert {path.relative_to(root).as_posix() for path in paths} == set(found.owner) | found.volatile
    assert "usr/bin/outer" in found.owner
    assert any("node_modules/inner" in path for path in found.owner)


def write_module(folder: Path, name: str, more: Mapping[str, object]) -> None:
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps({"name": name, "version": "1.0.0", **more}))
    (folder / "cli.js").write_text("#!/usr/bin/env node\n")


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in argv], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
