"""Values that run a program where somebody pastes them into a shell's or another language's code.

Each leaves a file that names its variable, so that a value that was run is told. What breaks out of one way of quoting
stays harmless in another; so there are several ways, and one container for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hubtool.contracts.onyxia.region import RAN

MARK = f"{RAN}ran-"
Way = Callable[[str], str]


def run(variable: str) -> str:
    """The command that a value of VARIABLE tries to run."""
    return f"touch {MARK}{variable}"


def _substitution(command: str) -> str:
    # Between double quotes and without any the first is run, between single quotes the last.
    return f"a$({command})b`{command}`c'$({command})'"


def _quotes(command: str) -> str:
    return f"a\"; {command}; echo \"b'; {command}; echo 'c"


def _lines(command: str) -> str:
    return f"a\n{command}\nb; {command} #"


WAYS: Mapping[str, Way] = {"substitution": _substitution, "quotes": _quotes, "lines": _lines}


def _of_sed(command: str) -> str:
    # GNU sed's command e, after the end of an s command with the delimiter /.
    return f"a/;1e {command} #"


def _of_r(command: str) -> str:
    # An operand, which R evaluates wherever a text may stand.
    return f'a"+system("{command}")+"b'


# Ways for what a variable is pasted into, where that is no shell.
FOR: Mapping[str, Mapping[str, Way]] = {
    "GIT_PERSONAL_ACCESS_TOKEN": {"quotes": _of_sed},
    "R_REPOSITORY": {"lines": _of_r},
}

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "repositories": ("PIP_REPOSITORY", "CONDA_REPOSITORY", "R_REPOSITORY", "PACKAGE_MANAGER_URL", "PATH_TO_CA_BUNDLE"),
    "git": (
        "GIT_REPOSITORY",
        "GIT_BRANCH",
        "GIT_PERSONAL_ACCESS_TOKEN",
        "GIT_USER_NAME",
        "GIT_USER_MAIL",
        "GIT_CREDENTIALS_CACHE_DURATION",
    ),
    "vault": ("VAULT_TOKEN", "VAULT_RELATIVE_PATH", "VAULT_TOP_DIR", "VAULT_MOUNT"),
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_DEFAULT_REGION",
        "AWS_S3_ENDPOINT",
        "AWS_PATH_STYLE_ACCESS",
    ),
    "scripts": ("REGION_INIT_SCRIPT", "PERSONAL_INIT_SCRIPT", "PERSONAL_INIT_ARGS", "REGION_INIT_SCRIPT_CHECKSUM"),
    "login": ("PASSWORD", "CODE_SERVER_AUTH", "DARK_MODE"),
}
# The keys of a secret in Vault whose values are hostile, or only odd: these must arrive as they are.
SECRET = "HUBTOOL_SECRET_"
ODD_SECRETS: Mapping[str, str] = {
    "HUBTOOL_ODD_DOLLAR": "pa$HOME$$w",
    "HUBTOOL_ODD_QUOTES": 'it\'s "quoted" \\ and & ; more',
    "HUBTOOL_ODD_SPACES": "  two  words  ",
}


def value(variable: str, way: str) -> str:
    """The hostile value of VARIABLE in this WAY."""
    return FOR.get(variable, {}).get(way, WAYS[way])(run(variable))


def values(way: str) -> dict[str, str]:
    """A hostile value for every variable of every family."""
    return {variable: value(variable, way) for family in FAMILIES.values() for variable in family}


def hostile_secrets() -> dict[str, str]:
    """A secret for Vault with a hostile value in each way, keys that are no names among them, and the odd ones."""
    hostile = {f"{SECRET}{way.upper()}": value(f"{SECRET}{way.upper()}", way) for way in WAYS}
    keys = {f"HUBTOOL-KEY;{run('VAULT_KEY')};": "value", "1$(" + run("VAULT_KEY") + ")": "value"}
    return {**hostile, **keys, **ODD_SECRETS}
