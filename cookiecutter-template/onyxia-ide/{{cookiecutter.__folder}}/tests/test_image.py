"""Run by `hubtool test` after Onyxia's contract, on this machine, against the image as the chart starts it. A check
that the image's users would thank you for belongs here."""


def test_the_init_script_is_of_the_version_that_the_label_says(host, image):
    """The label onyxia-init.version is the init script's version."""
    version = image.config["Labels"]["onyxia-init.version"]
    assert host.check_output("/opt/onyxia-init.sh --version") == f"onyxia-init {version}"


def test_users_can_install_python_packages(host):
    """Users may add packages to the Python that is first on PATH."""
    packages = host.check_output("python3 -c 'import site; print(site.getsitepackages()[0])'")
    assert packages.startswith("/opt/python/")
    assert host.run("test -w %s", packages).rc == 0
