"""Debian packages: a database of dpkg's, made by hand, and the files that it tells of."""

from __future__ import annotations

from tests.image.owners.images import depends, owners, packages

INFO = "var/lib/dpkg/info"
STATUS = "var/lib/dpkg/status"


def stanza(
    name: str, *more: str, state: str = "ok installed", architecture: str = "amd64", version: str = "1.0"
) -> str:
    lines = [f"Package: {name}", f"Status: install {state}", f"Architecture: {architecture}", f"Version: {version}"]
    return "\n".join([*lines, *more]) + "\n\n"


def database(**lists: list[str]) -> dict[str, str]:
    """A database of packages and the files that each lists."""
    found = {STATUS: "".join(stanza(name) for name in lists)}
    return found | {f"{INFO}/{name}.list": "/.\n" + "\n".join(paths) + "\n" for name, paths in lists.items()}


def test_a_package_owns_the_files_of_its_list_and_its_part_of_the_database() -> None:
    files = {
        **database(tool=["/usr", "/usr/bin/tool"]),
        "usr/bin/tool": "1",
        "usr/bin/other": "2",
        f"{INFO}/format": "1",
    }
    files |= {f"{INFO}/tool.md5sums": "", f"{INFO}/tool.postinst": ""}
    assert owners(files) == {
        "usr/bin/tool": "dpkg::tool",
        f"{INFO}/tool.list": "dpkg::tool",
        f"{INFO}/tool.md5sums": "dpkg::tool",
        f"{INFO}/tool.postinst": "dpkg::tool",
    }


def test_a_file_in_bin_is_found_in_usr_bin_where_the_two_are_merged() -> None:
    files = {**database(tool=["/bin/tool", "/lib/x/y"]), "bin": "->usr/bin", "lib": "->/usr/lib"}
    files |= {"usr/bin/": "", "usr/bin/tool": "1", "usr/lib/": "", "usr/lib/x/y": "2"}
    found = owners(files)
    assert found["usr/bin/tool"] == "dpkg::tool"
    assert found["usr/lib/x/y"] == "dpkg::tool"


def test_a_link_itself_is_owned_not_what_it_leads_to() -> None:
    found = owners({**database(tool=["/usr/bin/t"]), "usr/bin/t": "->tool", "usr/bin/tool": "1"})
    assert "usr/bin/t" in found
    assert "usr/bin/tool" not in found


def test_a_diverted_file_is_its_packages_under_its_new_name() -> None:
    files = {
        **database(dash=["/bin/sh"], other=["/bin/sh"]),
        "var/lib/dpkg/diversions": "/bin/sh\n/bin/sh.distrib\nother\n",
        "bin/sh": "1",
        "bin/sh.distrib": "2",
    }
    found = owners(files)
    assert found["bin/sh"] == "dpkg::other"
    assert found["bin/sh.distrib"] == "dpkg::dash"


def test_a_file_that_the_administrator_diverts_is_nobodys_under_its_old_name() -> None:
    files = {**database(dash=["/bin/sh"]), "var/lib/dpkg/diversions": "/bin/sh\n/bin/sh.real\n:\n"}
    found = owners({**files, "bin/sh": "1", "bin/sh.real": "2"})
    assert "bin/sh" not in found
    assert found["bin/sh.real"] == "dpkg::dash"


def test_packages_that_are_gone_are_not_listed() -> None:
    status = stanza("here") + stanza("gone", state="ok config-files") + stanza("never", state="ok not-installed")
    assert packages({STATUS: status}) == {"dpkg::here": "1.0"}
    assert owners({STATUS: status}) == {}


def test_a_package_of_two_architectures_is_two_packages() -> None:
    status = (
        stanza("libc6") + stanza("tool") + stanza("libc6", architecture="i386") + stanza("docs", architecture="all")
    )
    files = {
        STATUS: status,
        f"{INFO}/libc6:amd64.list": "/lib/64/libc.so\n",
        f"{INFO}/libc6:i386.list": "/lib/32/libc.so\n",
        "lib/64/libc.so": "1",
        "lib/32/libc.so": "2",
    }
    assert list(packages(files)) == ["dpkg::docs", "dpkg::libc6", "dpkg::libc6:i386", "dpkg::tool"]
    found = owners(files)
    assert found["lib/64/libc.so"] == "dpkg::libc6"
    assert found["lib/32/libc.so"] == "dpkg::libc6:i386"


def test_what_a_package_needs_is_the_first_alternative_that_is_there_or_what_provides_it() -> None:
    status = (
        stanza("app", "Pre-Depends: libc6 (>= 2.36)", "Depends: gone | mawk:any (>= 1),\n awk, missing, app")
        + stanza("libc6")
        + stanza("mawk", "Provides: awk, x (= 1)")
        + stanza("user", "Depends: awk")
    )
    assert depends({STATUS: status}) == {
        "dpkg::app": ("dpkg::libc6", "dpkg::mawk"),
        "dpkg::libc6": (),
        "dpkg::mawk": (),
        "dpkg::user": ("dpkg::mawk",),
    }


def test_an_image_without_dpkg_has_its_packages_in_status_d() -> None:
    files = {
        "var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12\nArchitecture: amd64\n",
        "var/lib/dpkg/status.d/base.md5sums": f"{'0' * 32}  etc/os release\nbroken\n",
        "etc/os release": "1",
    }
    assert packages(files) == {"dpkg::base-files": "12"}
    assert set(owners(files)) == set(files)


def test_compiled_python_goes_with_the_package_of_its_source() -> None:
    files = {**database(py=["/usr/lib/python3/m.py"]), "usr/lib/python3/m.py": ""}
    found = owners({**files, "usr/lib/python3/__pycache__/m.cpython-311.pyc": ""})
    assert found["usr/lib/python3/__pycache__/m.cpython-311.pyc"] == "dpkg::py"
