"""A conda-forge mirror for repo2docker's conda builds: micromamba, the locked base environment, .condarc and
environment.yml, all of it from ``site.conda_channel``."""

from __future__ import annotations

import io
import re
from pathlib import Path

from ruamel.yaml import YAML

from hubtool.builders.site import FOLDER
from hubtool.errors import HubtoolError, Where

PUBLIC = "https://conda.anaconda.org/conda-forge"
# What the channel is called where no URL is written. "main" and "r" are parts of "defaults".
NAMES = ("conda-forge", "defaults", "main", "r", "anaconda")
PUBLIC_HOSTS = re.compile(r"(?<![\w.-])(?:conda\.anaconda\.org|anaconda\.org|micro\.mamba\.pm|repo\.anaconda\.com)")
_MICROMAMBA = re.compile(r'^URL="https://anaconda\.org/.*"$', re.MULTILINE)
_CONDARC = re.compile(r"^cat <<EOT >> \$\{CONDA_DIR\}/\.condarc\n(?P<text>.*?)^EOT$", re.MULTILINE | re.DOTALL)
_COPY = ".hubtool-environment.yml"
ENVIRONMENT = "/tmp/hubtool-environment.yml"
ENVIRONMENT_IN_CONTEXT = ".hubtool-environment.yml"
FORGET = f"sh {FOLDER}/forget.sh"


def condarc(channel: str, rest: str = "") -> str:
    """A .condarc with CHANNEL under every name that means conda-forge; REST are further lines."""
    lines = ["channels:", f"  - {channel}", "default_channels:", f"  - {channel}"]
    lines += ["custom_multichannels:", "  conda-forge:", f"    - {channel}"]
    parent, _, last = channel.rpartition("/")
    if last and not parent.endswith("/"):
        lines.append(f"channel_alias: {parent}")
    return "\n".join(lines) + "\n" + rest


def install_script(text: str, channel: str, *, keep: bool) -> tuple[str, str, str]:
    """repo2docker's install-base-env.bash for CHANNEL, the .condarc that it writes, and the one it wrote before.

    Without KEEP the channel's name is taken out of conda's own records at the end. Raises HubtoolError where
    the script is not the one this was written for.
    """
    archive = "${CONDA_PLATFORM}/micromamba-${MAMBA_VERSION}-0.tar.bz2"
    found = _CONDARC.search(text)
    changed, count = _MICROMAMBA.subn(f'URL="{channel}/{archive}"', text)
    if found is None or count != 1:
        raise HubtoolError(
            "this version of repo2docker installs conda in a way hubtool does not know: site.conda_channel can't hold",
            hint="use the repo2docker version that hubtool was released with",
        )
    before = found["text"]
    rest = re.sub(r"\Achannels:\n(?:\s+- .*\n)+", "", before)
    after = condarc(channel, rest)
    changed = changed.replace(found[0], f"cat <<EOT >> ${{CONDA_DIR}}/.condarc\n{after}EOT")
    if not keep:
        changed += f"\n{FORGET}\n"
    return changed, after, before


def lock_file(text: str, channel: str) -> str:
    """An explicit lock file with its packages from CHANNEL; names, builds and md5 sums stay."""
    return text.replace(f"{PUBLIC}/", f"{channel}/")


def environment(data: bytes, channel: str, file: Path) -> bytes:
    """environment.yml with conda-forge and defaults replaced by CHANNEL; comments and order stay."""
    yaml = YAML()
    document = yaml.load(data)
    if not isinstance(document, dict):
        return data
    channels = document.get("channels")
    if isinstance(channels, list):
        channels[:] = list(dict.fromkeys(_channel(str(item), channel) for item in channels))
    dependencies = document.get("dependencies")
    dependencies = dependencies if isinstance(dependencies, list) else []
    for index, item in enumerate(dependencies):
        if isinstance(item, str) and "::" in item:
            dependencies[index] = _dependency(item, channel)
    out = io.BytesIO()
    yaml.dump(document, out)
    _only_mirror(out.getvalue().decode(), f"{file.name} names a channel that the mirror does not stand for", file)
    return out.getvalue()


def _channel(name: str, channel: str) -> str:
    plain = name.rstrip("/")
    public = plain in NAMES or plain in (
        PUBLIC,
        "https://repo.anaconda.com/pkgs/main",
        "https://repo.anaconda.com/pkgs/r",
    )
    return channel if public else name


def _dependency(text: str, channel: str) -> str:
    name, _, rest = text.partition("::")
    # The mirror is the one source of these; a bare name is looked for there.
    return rest if _channel(name.partition("/")[0] if "://" not in name else name, channel) == channel else text


def _only_mirror(text: str, message: str, file: Path) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        if PUBLIC_HOSTS.search(line.partition("#")[0]):
            raise HubtoolError(
                message, where=Where(file, number), hint="write the channel's name, or the mirror's URL for it"
            )


def forget_script(channel: str) -> str:
    """A script that writes conda-forge's public name over CHANNEL in conda's records of what was installed."""
    return (
        r'find "${CONDA_DIR}" \( -path "*/conda-meta/*" -o -path "*/pkgs/urls*" \) -type f '
        f"-exec sed -i 's#{channel}#{PUBLIC}#g' {{}} +\n"
    )


def env_script(script: str, path: str, *, keep: bool) -> str:
    """A step that installs from environment.yml at PATH, reading the mirror's copy of it instead.

    The copy stands beside the original for as long as the step runs, since pip's requirements in it may be
    relative.
    """
    end = "" if keep else f" && \\\n                {FORGET}"
    if f'--file "{path}"' not in script:
        return script.rstrip() + end
    copy = str(Path(path).with_name(_COPY))
    body = script.strip("\n").rstrip().replace(f'--file "{path}"', f'--file "{copy}"')
    start = f"                cp {ENVIRONMENT} {copy} && \\\n"
    return f"{start}{body} && \\\n                rm {copy} {ENVIRONMENT}{end}"


def copy_environment(dockerfile: str, uid: str) -> str:
    """DOCKERFILE with the mirror's environment.yml copied in just before the step that reads it, so that a
    change of it does not build anew what stands before."""
    step = f"RUN cp {ENVIRONMENT} "
    return dockerfile.replace(step, f"COPY --chown={uid}:{uid} {ENVIRONMENT_IN_CONTEXT} {ENVIRONMENT}\n{step}")


def check_script(text: str, name: str) -> None:
    """Raise HubtoolError where a public conda host is left in the build script NAME."""
    left = [line for line in text.splitlines() if PUBLIC_HOSTS.search(line.partition("#")[0]) and PUBLIC not in line]
    if left:
        raise HubtoolError(f"{name} would still ask a public conda host: {left[0].strip()}")
