"""Run inside the image by `hubtool test`. A check that the image's users would thank you for belongs here."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["jupyterhub", "jupyterlab", "notebook", "nbgitpuller", "ipykernel"])
def test_the_package_imports(module):
    importlib.import_module(module)


@pytest.mark.parametrize("program", ["jupyterhub-singleuser", "jupyter-lab", "git"])
def test_the_program_is_on_the_path(program):
    assert shutil.which(program)


def test_python_has_the_version_that_was_asked_for():
    assert "{{ cookiecutter.python_version }}" == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_settings_of_jupyterlab_are_where_it_reads_them():
    settings = Path(sys.prefix, "share/jupyter/lab/settings/overrides.json")
    assert "@jupyterlab/docmanager-extension:plugin" in json.loads(settings.read_text())
{%- if cookiecutter.include_r == "yes" %}


def test_r_has_a_kernel():
    from jupyter_client.kernelspec import KernelSpecManager

    assert "ir" in KernelSpecManager().find_kernel_specs()
{%- endif %}
