"""Pins, against the clock: `python -m benchmarks.bump.pins [--files N] [--runs N]`.

(a) `hubtool pins list --json` over 10,000 YAML files in the shape of hub deployments, 1 in 50 holding a pin, beside
    the shell step that hubs bump with today (grep -lr, then grep, awk and sed a file that it names), and a ruamel.yaml
    round trip of every file. Wanted: no slower than the shell step, 20 times faster than ruamel. The shell step takes
    the longer the more files name its image: here all that hold a pin, and beside that one in nine of them.
(b) A bump plan for 100 hubs of 3 files each, in memory: scan, choose, move, prove and diff. Wanted: under 1 s.

The files are the same for every run (seeded). Runs alternate, after one that warms the disk cache.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

FIRST = "hubtool pins list --json"
HUBTOOL = [sys.executable, "-m", "hubtool"]
HOST = "us-central1-docker.pkg.dev/example-hubs/user-images"
IMAGES = ("base-user-image", "python-user-image", "r-user-image", "geo-user-image", "ml-user-image",
          "bio-user-image", "data100-user-image", "rstudio-user-image", "julia-user-image")  # fmt: skip
IMAGE, OLD, NEW = "example-hubs/user-images/base-user-image", "3b73cd8f0bbe", "aaaabbbbcccc"
EVERY = 50

# What a team's workflow runs on a merge, by the same programs.
SHELL = r"""
for file in $(grep -lr "$IMAGE" "$1"); do
  grep "$IMAGE:" "$file" | while read -r line; do
    old=$(echo "$line" | sed -E 's/.*:\s*(.*)/\1/')
    sed -i -e "s,$IMAGE:$old,$IMAGE:$TAG,g" "$file"
  done
  old=$(grep -hA1 "$IMAGE" "$file" | grep tag | awk -F ': ' '{print $2}')
  if [[ -n "$old" ]]; then sed -i -e "s,$old,$TAG,g" "$file"; fi
done
"""
RUAMEL = """
import sys, pathlib, ruamel.yaml
yaml = ruamel.yaml.YAML()
yaml.preserve_quotes = True
for file in pathlib.Path(sys.argv[1]).rglob("*.yaml"):
    data = yaml.load(file)
    with file.open("w") as stream:
        yaml.dump(data, stream)
"""


# ---- files

HUBPLOY = """\
# The images are pinned in config/common.yaml.
cluster:
  provider: gcloud
  gcloud:
    project: example-hubs
    cluster: hubs-cluster
    zone: us-central1-b
"""
HEAD = """\
nfsPVC:
  enabled: true
  nfs:
    serverIP: 10.{a}.{b}.2

jupyterhub:
  scheduling:
    userScheduler:
      nodeSelector:
        hub.jupyter.org/pool-name: core-pool
  proxy:
    chp:
      nodeSelector:
        hub.jupyter.org/pool-name: core-pool
      resources:
        requests: {{cpu: 0.001, memory: 64Mi}}
  hub:
    nodeSelector:
      hub.jupyter.org/pool-name: core-pool
    config:
      JupyterHub:
        authenticator_class: cilogon
      Authenticator:
        admin_users:
          # infrastructure
          - user{a}@example.edu
          - user{b}@example.edu
"""
ENVIRONMENT = """\
jupyterhub:
  ingress:
    enabled: true
    hosts:
      - {hub}{dash}.example.edu
    tls:
      - secretName: tls-cert
        hosts: ["{hub}{dash}.example.edu"]
  hub:
    db:
      pvc:
        # the disk of {environment}; see the team's notes
        storage: {a}Gi
  singleuser:
    startTimeout: {b}
"""
SINGLEUSER = """\
  singleuser:
    nodeSelector:
      hub.jupyter.org/pool-name: {hub}-pool
    storage:
      type: static
      static:
        pvcName: home-nfs-v3
        subPath: "{{username}}"
    memory:
      guarantee: {a}M
      limit: {b}G
    extraEnv:
      # Unset by the image; needed by recent versions.
      JUPYTERHUB_SINGLEUSER_APP: "jupyter_server.serverapp.ServerApp"
"""
PIN = """\
    image:
      name: {host}/{image}
      tag: {tag}
"""
MENU = """\
    profileList:
      - display_name: "Small"
        slug: small
        profile_options:
          image:
            choices:
              this:
                display_name: This term's
                kubespawner_override:
                  image: {host}/{image}:{tag}
              other:
                display_name: A colleague's
                kubespawner_override:
                  image: quay.io/pangeo/base-notebook:2026.01.30
"""
ROLE = """\
    course::{a}{b}::enrollment_type::teacher:
      # {hub}, term {b}: asked for by the instructor
      mem_limit: {b}G
      extraVolumeMounts:
        - name: home
          mountPath: /home/jovyan/{hub}-shared-readwrite
          subPath: _shared/course/{hub}
          readOnly: false
"""
# Files without a pin speak of images and tags too.
ASIDES = (
    "    # image: set in common.yaml\n",
    "    imagePullPolicy: IfNotPresent\n",
    "    # see https://github.com/example/hubs/issues/5802 for the tag\n",
    "    storageClass: standard # staging first\n",
    "",
    "",
    "",
    "",
)


def write_files(root: Path, count: int, images: Sequence[str] = IMAGES) -> None:
    """COUNT files in folders of hubs, 1 in EVERY with a pin of one of IMAGES."""
    rng = random.Random(2026)
    for number in range(count):
        hub = f"hub{number // 4:04}"
        name = ("hubploy.yaml", "config/common.yaml", "config/staging.yaml", "config/prod.yaml")[number % 4]
        file = root / "deployments" / hub / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text_of(rng, hub, name))
    for number in range(1, count, EVERY - EVERY % 4 + 2):
        hub = f"hub{number // 4:04}"
        file = root / "deployments" / hub / "config/common.yaml"
        file.write_text(text_of(rng, hub, "config/common.yaml", rng.choice(images)))


def text_of(rng: random.Random, hub: str, name: str, image: str = "") -> str:
    facts = {"hub": hub, "a": rng.randint(10, 250), "b": rng.randint(2, 250)}
    if name == "hubploy.yaml":
        return HUBPLOY
    if name != "config/common.yaml":
        environment = Path(name).stem
        dash = "-staging" if environment == "staging" else ""
        return ENVIRONMENT.format(**facts, environment=environment, dash=dash)
    pin = rng.choice((PIN, PIN, MENU)).format(host=HOST, image=image, tag=OLD) if image else ""
    roles = "".join(ROLE.format(**facts | {"b": term}) for term in range(2, 2 + int(rng.paretovariate(1)) % 24))
    groups = f"  custom:\n    group_profiles:\n{roles}" if roles else ""
    return HEAD.format(**facts) + SINGLEUSER.format(**facts) + rng.choice(ASIDES) + pin + groups


# ---- (a)


def shell(root: Path) -> list[str]:
    return ["env", f"IMAGE={IMAGE}", f"TAG={NEW}", "bash", "-c", SHELL, "step", str(root)]


def clock(argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def compare(count: int, runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="hubtool-benchmark-") as folder:
        root, mixed, copy = (Path(folder, name) for name in ("root", "mixed", "copy"))
        write_files(root, count, IMAGES[:1])
        write_files(mixed, count)
        told(root, mixed)
        times: dict[str, list[float]] = {}
        for turn in range(runs + 1):
            for name, seconds in turn_of(root, mixed, copy, with_ruamel=turn == 1):
                times.setdefault(name, []).extend([seconds] if turn else [])
        report(times)


def turn_of(root: Path, mixed: Path, copy: Path, *, with_ruamel: bool) -> Iterator[tuple[str, float]]:
    """One run of each; those that write work on a fresh copy."""
    yield FIRST, clock([*HUBTOOL, "pins", "list", "--json", str(root)])
    writing = [("shell step", root, shell(copy)), ("shell step, rarer image", mixed, shell(copy))]
    for name, source, argv in writing + [("ruamel.yaml", root, ruamel(copy))] * with_ruamel:
        shutil.copytree(source, copy)
        yield name, clock(argv)
        shutil.rmtree(copy)


def ruamel(root: Path) -> list[str]:
    return [sys.executable, "-c", RUAMEL, str(root)]


def told(root: Path, mixed: Path) -> None:
    """What the files are, and that hubtool finds their pins."""
    sizes = sorted(file.stat().st_size for file in root.rglob("*.yaml"))
    files, rarer = pinned(root), pinned(mixed)
    print(
        f"{len(sizes)} files, {sizes[0]} to {sizes[-1]} bytes, median {sizes[len(sizes) // 2]}, "
        f"{sum(sizes) / 1e6:.1f} MB; {files} hold a pin of {IMAGE}, {rarer} of the rarer image; "
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}\n"
    )


def pinned(root: Path) -> int:
    """How many files pin IMAGE, by hubtool."""
    argv = [*HUBTOOL, "pins", "list", "--json", "--image", IMAGE, str(root)]
    pins = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
    return len({pin["file"] for pin in pins})


def report(times: dict[str, list[float]]) -> None:
    base = statistics.median(times[FIRST])
    print(f"{'':28}{'runs':>6}{'min':>10}{'median':>10}{'of hubtool':>14}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:28}{len(seconds):>6}{min(seconds):>8.3f} s{median:>8.3f} s{median / base:>12.2f} x")


# ---- (b)


def plan_hubs(hubs: int, runs: int) -> None:
    from hubtool.pins.choose import choose
    from hubtool.pins.inherit import inherit
    from hubtool.pins.scan import move, scan
    from hubtool.reference import ImageReference

    rng = random.Random(2026)
    names = ("config/common.yaml", "config/staging.yaml", "config/prod.yaml")
    image = ImageReference.parse(f"{HOST}/base-user-image")
    folders = []
    for number in range(hubs):
        texts = {name: text_of(rng, f"hub{number:03}", name) for name in names}
        common = texts["config/common.yaml"].partition("  custom:\n")
        texts["config/common.yaml"] = common[0] + PIN.format(host=HOST, image="base-user-image", tag=OLD) + common[2]
        folders.append([(f"deployments/hub{number:03}/{name}", text.encode()) for name, text in texts.items()])

    def plan() -> None:
        for files in folders:
            found = scan(files)
            choice = choose(inherit(found.pins), image, NEW)
            changes = move(found.files, choice.moving, NEW)
            assert len(changes) == 1
            assert changes[0].diff()

    seconds = [timed(plan) for _ in range(runs)]
    print(f"\na bump plan for {hubs} hubs of {len(names)} files: min {min(seconds):.3f} s, "
          f"median {statistics.median(seconds):.3f} s")  # fmt: skip


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    compare(options.files, options.runs)
    plan_hubs(100, options.runs)


if __name__ == "__main__":
    main()
