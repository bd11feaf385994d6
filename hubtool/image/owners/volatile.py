"""Files that a build writes anew whatever is in the image: databases of package managers, caches, logs, keys.

What belongs to one package and changes only with it is not among them, database or not: dpkg's info/PACKAGE.list,
conda-meta/PACKAGE.json, a dist-info folder with its INSTALLER, REQUESTED and direct_url.json. But R and uv write
into a package when it was installed.
"""

from __future__ import annotations

import re

_VOLATILE = re.compile(
    r"""
    (?: tmp | run | var/(?:tmp|cache|log|run) | var/lib/(?:apt|ucf) | (?:.+/)?var/cache ) / .
    | var/lib/dpkg/ (?! info/ | status\.d/ ) .
    | etc/ (?: ld\.so\.cache | machine-id | mtab | g?shadow-? | (?:passwd|group|subuid|subgid)- | \.pwd\.lock
             | ssh/ssh_host_\w+_key(?:\.pub)? | ssl/(?:private|certs)/ssl-cert-snakeoil\.(?:key|pem) ) \Z
    | var/lib/dbus/machine-id \Z
    | (?:root|home/[^/]+) / (?: \.(?:npm|conda|yarn|Rcache|cache(?!/R/renv/cache/))/. | \.local/share/jupyter/runtime/.
             | \.(?:bash_history|python_history|lesshst|wget-hsts|Rhistory) \Z )
    | (?:.+/)? conda-meta/history \Z
    | .+/node_modules/\.package-lock\.json \Z
    | .+\.dist-info/uv_cache\.json \Z
    """,
    re.VERBOSE,
)
# Made over from all that is installed whenever something is; a package that ships such a file keeps it.
REGENERATED = (
    "mime.cache",
    "mimeinfo.cache",
    "icon-theme.cache",
    "gschemas.compiled",
    "immodules.cache",
    "loaders.cache",
    "giomodule.cache",
)
STAMPED = ("/DESCRIPTION", "/Meta/package.rds")  # R's, with the time at which the package was built from source


def is_volatile(path: str) -> bool:
    """Whether the file at PATH changes with every build, whoever owns it."""
    return _VOLATILE.match(path) is not None
