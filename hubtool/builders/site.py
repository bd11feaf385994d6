"""``site:`` of hubtool.yaml, as files and Dockerfile lines: mirrors and certificates for the build, and on
request for those who work in the image.

For the build alone they are ARGs, which RUN steps see and the image does not keep, and files in one folder,
which the last step removes after it has put back what it changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse

from hubtool.builders.stages import SCRATCH, Stage, extend
from hubtool.config import Site

CONTEXT_FOLDER = ".hubtool-site"
CONTEXT_DOCKERFILE = ".hubtool-Dockerfile"
FOLDER = "/usr/local/share/hubtool-site"
BUNDLE = f"{FOLDER}/ca-bundle.pem"
# Who reads which: OpenSSL and uv; requests; pip; curl and R; Node.js; git; conda; mamba; nix; Julia; cargo; AWS.
CA_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "CONDA_SSL_VERIFY",
    "MAMBA_SSL_VERIFY",
    "NIX_SSL_CERT_FILE",
    "JULIA_SSL_CA_ROOTS_PATH",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
)
PUBLIC_CRAN = "https://cloud.r-project.org"


@dataclass(frozen=True)
class SiteFiles:
    """A site's settings, and the users of the base images that are known, whom the settings have to go back to."""

    site: Site
    ca_bundle: Path | None = None
    base_users: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        values = (self.site.pip_index, self.site.conda_channel, self.site.cran, self.site.apt_mirror)
        return self.ca_bundle is not None or any(values)

    def variables(self) -> dict[str, str]:
        """The environment that programs in the build shall see."""
        found: dict[str, str] = {}
        if self.ca_bundle is not None:
            found |= {**dict.fromkeys(CA_VARIABLES, BUNDLE), "WGETRC": f"{FOLDER}/wgetrc"}
        if self.site.pip_index:
            found |= {"PIP_INDEX_URL": self.site.pip_index, "UV_DEFAULT_INDEX": self.site.pip_index}
            if self.site.pip_index.startswith("http://"):
                found |= {"PIP_TRUSTED_HOST": urlparse(self.site.pip_index).netloc}
        if self.site.cran:
            found |= {"R_PROFILE": f"{FOLDER}/Rprofile.site"}
        return found

    def files(self) -> dict[str, bytes]:
        """The files to put into the context's folder ``CONTEXT_FOLDER``, by name."""
        found = {"enter.sh": self._enter().encode(), "leave.sh": self._leave().encode()}
        if self.ca_bundle is not None:
            found["ca-bundle.pem"] = self.ca_bundle.read_bytes()
            found["wgetrc"] = f"ca_certificate = {BUNDLE}\n".encode()
        if self.site.cran:
            found["Rprofile.site"] = _R_PROFILE.replace("@URL@", self.site.cran).encode()
        return found

    def apply(self, text: str, arguments: Mapping[str, str] = {}, target: str | None = None) -> str:
        """The Dockerfile TEXT, built with ARGUMENTS up to the stage TARGET, with these settings; unchanged where there
        are none."""
        return extend(text, self._start, self._end, arguments, target) if self else text

    def _start(self, stage: Stage) -> str:
        if stage.root.lower() == SCRATCH:
            return ""
        word = "ENV" if self.site.run_time else "ARG"
        user = stage.user or self.base_users.get(stage.root, "")
        return "\n".join(
            [
                "# Mirrors and certificates of this site",
                f"COPY {CONTEXT_FOLDER}/ {FOLDER}/",
                *(f"{word} {key}={value}" for key, value in self.variables().items()),
                *(["USER root"] if user else []),
                f"RUN sh {FOLDER}/enter.sh",
                *([f"USER {user}"] if user else []),
            ]
        )

    def _end(self, stage: Stage) -> str:
        if stage.root.lower() == SCRATCH:
            return ""
        user = stage.user or self.base_users.get(stage.root, "")
        what = "settle" if self.site.run_time else "remove"
        run = f"RUN sh {FOLDER}/leave.sh"
        lines = ["USER root", run, f"USER {user}"] if user else [run]
        return "\n".join([f"# Mirrors and certificates of this site: {what} them", *lines]) + "\n"

    def _enter(self) -> str:
        parts = [_HEAD, _ONCE]
        if self.ca_bundle is not None:
            parts.append(_TRUST)
        if self.site.apt_mirror:
            parts.append(_APT_MIRROR.replace("@URL@", self.site.apt_mirror))
        return "".join(parts)

    def _leave(self) -> str:
        parts = [_HEAD]
        if self.site.run_time:
            parts += [_PIP_CONF.replace("@URL@", self.site.pip_index)] if self.site.pip_index else []
            parts += [_KEEP_TRUST] if self.ca_bundle is not None else []
            parts.append('(cd "$site" && rm -rf entered enter.sh leave.sh original distribution.crt condarc*)\n')
        else:
            parts += [_DISTRUST] if self.ca_bundle is not None else []
            parts += [_APT_RESTORE] if self.site.apt_mirror else []
            parts += [_R_RESTORE.replace("@URL@", self.site.cran)] if self.site.cran else []
            parts += [_CONDA_RESTORE.replace("@URL@", self.site.conda_channel)] if self.site.conda_channel else []
            parts.append('rm -rf "$site"\n')
        return "".join(parts)


_HEAD = f"set -eu\nsite={FOLDER}\n"

# A stage that stands on another of the same file has it done already.
_ONCE = """
if [ -e "$site/entered" ]; then exit 0; fi
: > "$site/entered"
"""

_R_PROFILE = """\
local({
  usual <- file.path(R.home("etc"), "Rprofile.site")
  if (file.exists(usual)) sys.source(usual, envir = globalenv())
})
options(repos = c(CRAN = "@URL@"))
"""

# Programs that read none of the variables trust what the distribution's bundle holds.
_TRUST = r"""
bundle=/etc/ssl/certs/ca-certificates.crt
if [ -f "$bundle" ]; then
  cp -p "$bundle" "$site/distribution.crt"
  { echo; echo '# hubtool-site'; cat "$site/ca-bundle.pem"; } >> "$bundle"
fi
if [ -d /etc/apt/apt.conf.d ]; then
  echo "Acquire::https::CAInfo \"$site/ca-bundle.pem\";" > /etc/apt/apt.conf.d/99hubtool-site
fi
"""

_DISTRUST = r"""
rm -f /etc/apt/apt.conf.d/99hubtool-site
bundle=/etc/ssl/certs/ca-certificates.crt
if [ -f "$bundle" ] && grep -q '^# hubtool-site$' "$bundle"; then
  cat "$site/distribution.crt" > "$bundle"
fi
"""

# The distribution's own way. One certificate a file, since update-ca-certificates skips files that hold more.
_KEEP_TRUST = r"""
if command -v update-ca-certificates > /dev/null; then
  mkdir -p /usr/local/share/ca-certificates/hubtool-site
  awk -v folder=/usr/local/share/ca-certificates/hubtool-site '
    /-----BEGIN CERTIFICATE-----/ { n++; inside = 1 }
    inside { print > (folder "/" n ".crt") }
    /-----END CERTIFICATE-----/ { inside = 0; close(folder "/" n ".crt") }
  ' "$site/ca-bundle.pem"
  update-ca-certificates > /dev/null 2>&1
fi
"""

# Ubuntu's and Debian's own archives, in one-line (.list) and deb822 (.sources) files alike.
_APT_MIRROR = r"""
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  [ -f "$file" ] || continue
  mkdir -p "$site/original$(dirname "$file")"
  cp -p "$file" "$site/original$file"
  sed -i -E \
    -e 's#https?://(([a-z]{2}\.)?archive|security|ports)\.ubuntu\.com/ubuntu(-ports)?(/|[[:space:]]|$)#@URL@\4#g' \
    -e 's#https?://security\.debian\.org(/debian-security)?(/|[[:space:]]|$)#@URL@-security\2#g' \
    -e 's#https?://(deb|httpredir|ftp\.[a-z]{2}|ftp)\.debian\.org/debian-security(/|[[:space:]]|$)#@URL@-security\2#g' \
    -e 's#https?://(deb|httpredir|ftp\.[a-z]{2}|ftp)\.debian\.org/debian(/|[[:space:]]|$)#@URL@\2#g' \
    "$file"
done
"""

_APT_RESTORE = r"""
if [ -d "$site/original" ]; then
  (cd "$site/original" && find . -type f -exec cp -p {} /{} \;)
fi
"""

_R_RESTORE = rf"""
for file in /opt/R/*/lib/R/etc/Rprofile.site /etc/rstudio/rsession.conf; do
  if [ -f "$file" ]; then sed -i 's#@URL@#{PUBLIC_CRAN}#g' "$file"; fi
done
"""

_CONDA_RESTORE = r"""
condarc="${CONDA_DIR:-/srv/conda}/.condarc"
if [ -f "$condarc" ]; then
  if cmp -s "$condarc" "$site/condarc"; then
    cat "$site/condarc.public" > "$condarc"
  else
    sed -i 's#@URL@#https://conda.anaconda.org/conda-forge#g' "$condarc"
  fi
fi
"""

_PIP_CONF = """
printf '[global]\\nindex-url = @URL@\\n' > /etc/pip.conf
"""

REMOVE_CONTEXT_COPY = f"""
if command -v find > /dev/null; then
  find / -xdev \\( -name '{CONTEXT_FOLDER}' -o -name '{CONTEXT_DOCKERFILE}' \\) -prune -exec rm -rf {{}} +
fi
"""
