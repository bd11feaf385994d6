"""Checks of every image, run by `hubtool test` on this machine. What your users would thank you for belongs here."""

import pytest


@pytest.mark.parametrize(("variable", "program"), [("PYTHON_VERSION", "python"), ("R_VERSION", "R")])
def test_the_language_has_the_version_of_the_tag(host, image, variable, program):
    """A language has the version that the tag says.

    Users choose an image by it.

    To mend: look where the Dockerfile gets the language from.
    """
    version = image.environment.get(variable)
    if version is None:
        pytest.skip(f"no {program} in this image")
    said = host.run(f"{program} --version")
    assert said.rc == 0, said.stderr
    words = said.stdout.split("\n")[0].split()
    assert any(f"{word}.".startswith(f"{version}.") for word in words), said.stdout


def test_packages_can_be_added_without_being_root(host, image):
    """Users can add packages of the image's languages.

    To mend: leave /opt/python and /opt/r-packages to the user onyxia.
    """
    folders = {"PYTHON_VERSION": "/opt/python", "R_VERSION": "/opt/r-packages"}
    for variable, folder in folders.items():
        if variable in image.environment:
            assert host.file(folder).user == "onyxia"
