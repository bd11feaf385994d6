"""The files of the stack: eleven variants of five images on two axes, with packages from PyPI; graphs of any size."""

from __future__ import annotations

STACK = """\
registry: localhost/benchmark
repository: stack-{image}
cache: false
axes:
  numpy: ["2.3.5", "2.2.6"]
  device: [cpu, gpu]
defaults: {builder: dockerfile, contract: none}
images:
  base: {context: base, base: BASE, axes: [device], args: {DEVICE: "{device}"}}
  numpy: {context: numpy, from: base, axes: [numpy, device], args: {NUMPY_VERSION: "{numpy}"}}
  science: {context: science, from: numpy, axes: {numpy: all, device: [cpu]}}
  lab: {context: lab, from: science, axes: {numpy: all, device: [cpu]}}
  web: {context: web, from: base, axes: {device: [cpu]}}
"""
HEAD = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"
PIP = "RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check"
FILES = {
    "base/Dockerfile": HEAD + "ARG DEVICE\nRUN python3 -m venv /opt/venv && echo $DEVICE > /etc/device\n",
    "numpy/Dockerfile": HEAD + f"ARG NUMPY_VERSION\n{PIP} numpy==$NUMPY_VERSION\n",
    "science/Dockerfile": HEAD + f"COPY requirements.txt /tmp/\n{PIP} --requirement /tmp/requirements.txt\n",
    "science/requirements.txt": "pandas==2.3.3\nscipy==1.16.3\n",
    "lab/Dockerfile": HEAD + f"{PIP} jupyterlab==4.5.0\n",
    "web/Dockerfile": HEAD + f"{PIP} fastapi==0.121.0 httpx==0.28.1\n",
}
CHANGED = {"science/requirements.txt": "pandas==2.3.2\nscipy==1.16.3\n"}  # reaches 4 of the 11

# The image that all stands on: Debian with Python, which trusts what this machine trusts.
TRUSTING = """\
FROM {base}
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends python3-venv
COPY bundle.pem /etc/ssl/bundle.pem
ENV PIP_CERT=/etc/ssl/bundle.pem
"""


def graph(variants: int) -> str:
    """A hubtool.yaml with that many VARIANTS, a multiple of 10: trees of a base, four languages and five IDEs."""
    lines = ["registry: localhost/benchmark", "repository: stack-{image}", "defaults: {builder: dockerfile}", "images:"]
    for number in range(variants // 10):
        lines.append(f"  base-{number}: {{context: base, base: scratch, tags: ['{{commit}}']}}")
        for language in range(4):
            name = f"language-{number}-{language}"
            lines.append(f"  {name}: {{context: numpy, from: base-{number}, tags: ['latest', '{{date}}']}}")
        for ide in range(5):
            name, parent = f"ide-{number}-{ide}", f"language-{number}-{ide % 4}"
            lines.append(f"  {name}: {{context: lab, from: {parent}, tags: ['latest', '{{date}}']}}")
    return "\n".join(lines) + "\n"


def axes(variants: int) -> str:
    """A hubtool.yaml with that many VARIANTS, a multiple of 10, of five images on two axes."""
    values = ", ".join(f'"{number}"' for number in range(variants // 10))
    return (
        "registry: localhost/benchmark\nrepository: stack-{image}\n"
        f"axes:\n  device: [cpu, gpu]\n  number: [{values}]\n"
        "defaults: {builder: dockerfile, axes: [device, number], tags: ['{number}{-gpu}-{date}']}\n"
        "images:\n  base: {context: base, base: scratch}\n"
        + "".join(f"  image{n}: {{context: numpy, from: {'base' if n < 3 else 'image1'}}}\n" for n in range(1, 5))
    )
