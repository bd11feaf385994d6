"""What may be answered to the questions of all templates; each template's hook checks before a file is written.

Plain Python without packages, since it runs wherever cookiecutter does. hubtool reads ``problems`` from here too.
"""

from __future__ import annotations

import re
import sys

NAME = r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*"
YAML_WORDS = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}
# Of users and groups that Debian's and Ubuntu's images have.
SYSTEM_USERS = {"root", "bin", "daemon", "sys", "sync", "games", "man", "mail", "news", "proxy", "backup", "list"}
SYSTEM_USERS |= {"nobody", "users", "staff", "adm", "disk", "sudo", "sshd", "audio", "video", "www-data", "messagebus"}
BRANCH = r"(?!.*(?:\.\.|//|\.lock$|\.lock/|/\.))[A-Za-z0-9_][A-Za-z0-9._/-]*(?<![./])"
HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
VERSION = r"[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}"
LOGIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?"
GITHUB_REPOSITORY = LOGIN + r"/[A-Za-z0-9._-]{1,100}"
OWNER = rf"@{LOGIN}(?:/[A-Za-z0-9._-]+)?|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]+"
CHART = r"(?:\./)?(?:[A-Za-z0-9][A-Za-z0-9._-]*/)*[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
# Of the template coder-nix's own, beside which the Coder template's folder lies.
ITS_FILES = {"image", "tests", "hubtool.yaml", "README.md", "CONTRIBUTING.md", "LICENSE"}
FOLDER = r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*"
PLAIN_PATH = r"[A-Za-z0-9 ._~/+-]+"
URL = rf"(?:https|ssh|file)://(?:[A-Za-z0-9._-]+@)?(?:{HOST})?/{PLAIN_PATH}"
LOCAL_PATH = r"/[^\"\\{}]*"
SCP = rf"[A-Za-z0-9._-]+@{HOST}:{PLAIN_PATH}"


def repository_name(text: str) -> str | None:
    if text in YAML_WORDS:
        return "YAML does not read this word as a name; choose one like base-user-image"
    if re.fullmatch(NAME, text) and len(text) <= 100:
        return None
    return (
        "a name is lower-case letters and digits, joined by '-', '.' or '_', and starts with a letter, "
        "like base-user-image"
    )


def organisation(text: str) -> str | None:
    if re.fullmatch(LOGIN, text):
        return None
    return "expected the name of a GitHub organisation or user, letters, digits and '-', like my-org"


def hub_name(text: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        return None
    return "a hub's name is letters, digits, '.', '_' and '-', as its folder below deployments/ is called, like base"


def registry(text: str) -> str | None:
    example = "us-central1-docker.pkg.dev/PROJECT/user-images"
    if "://" in text:
        return f"leave out '{text.split('://')[0]}://'; for example {example}"
    host, _, path = text.partition("/")
    if not re.fullmatch(HOST, host) or not ("." in host or ":" in host or host == "localhost"):
        return f"expected a registry's host first, like {example} or quay.io/my-org"
    if path and not re.fullmatch(rf"{COMPONENT}(?:/{COMPONENT})*", path):
        return f"expected HOST/PATH in lower case, without a tag or a '/' at the end, like {example}"
    if host.endswith("docker.pkg.dev") and path.count("/") < 1:
        return f"Artifact Registry needs HOST/PROJECT/REPOSITORY, like {example}"
    if ".dkr.ecr." in host and not re.fullmatch(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?", host):
        return "expected ACCOUNT.dkr.ecr.REGION.amazonaws.com, like 123456789012.dkr.ecr.us-west-2.amazonaws.com"
    if not path and (host.endswith("gcr.io") or host in ("docker.io", "quay.io")):
        return f"this registry needs a project or organisation after its host, like {host}/my-org"
    return None


def base_image(text: str) -> str | None:
    if text == "default" or re.fullmatch(
        rf"(?:{HOST}/)?{COMPONENT}(?:/{COMPONENT})*(?::{TAG})?(?:@sha256:[0-9a-f]{{64}})?", text
    ):
        return None
    return "expected an image with its tag, like docker.io/library/buildpack-deps:24.04, or default"


def ides(text: str) -> str | None:
    words = text.replace(",", " ").split()
    if words and set(words) <= {"code-server", "jupyter", "rstudio"}:
        return None
    return "expected one or several of code-server, jupyter, rstudio, with spaces between them"


def charts(text: str) -> str | None:
    words = text.replace(",", " ").split()
    names = [word.rpartition("/")[2] for word in words]
    if words and len(set(names)) == len(names) and all(re.fullmatch(CHART, word) for word in words):
        return None
    return "expected charts below charts/ by name, like my-org-code-server, or other folders, like ./my-org-code-server"


def python_versions(text: str) -> str | None:
    return _versions(text, "3.13.18, 3.12.16")


def r_versions(text: str) -> str | None:
    return _versions(text, "4.6.1, 4.5.3")


def _versions(text: str, example: str) -> str | None:
    words = text.replace(",", " ").split()
    if words and len(set(words)) == len(words) and all(re.fullmatch(VERSION, word) for word in words):
        return None
    return f"expected versions, each once, like {example}"


def gpu_base_image(text: str) -> str | None:
    return base_image(text) if text != "default" else "expected an image with its tag, like docker.io/nvidia/cuda:TAG"


def coder_template(text: str) -> str | None:
    if re.fullmatch(r"[a-z0-9](?:-?[a-z0-9])*", text) and len(text) <= 32:
        return None
    return "a Coder template's name is lower-case letters, digits and '-', 32 at most, like workspace"


def template_folder(text: str) -> str | None:
    if re.fullmatch(FOLDER, text) and text.split("/")[0] not in ITS_FILES and len(text) <= 200:
        return None
    return "expected a folder of that repository, not one of the image's, like coder-template or templates/workspace"


def image_prefix(text: str) -> str | None:
    if re.fullmatch(NAME, text) and len(text) <= 60 and text not in YAML_WORDS:
        return None
    return "lower-case letters and digits, joined by '-', '.' or '_', starting with a letter, like ubuntu-python"


def version(text: str) -> str | None:
    return None if re.fullmatch(VERSION, text) else "expected a version, like 1.0"


def user_name(text: str) -> str | None:
    if re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", text) and text not in {*SYSTEM_USERS, *YAML_WORDS}:
        return None
    return "a user's name is lower-case letters, digits, '-' and '_', and none that the base image has, like jovyan"


def home(text: str) -> str | None:
    if re.fullmatch(r"(?:/[A-Za-z0-9_][A-Za-z0-9._-]*){2,}", text) and len(text) <= 200:
        return None
    return "expected a folder below another, without a '/' at the end, like /home/jovyan"


def pip_mirror(text: str) -> str | None:
    if text == "none" or re.fullmatch(rf"https?://{HOST}(?:/[A-Za-z0-9._~+-]+)*/?", text):
        return None
    return "expected the URL of a simple index, without a password, like https://mirror.example.org/simple, or none"


def batch_project(text: str) -> str | None:
    if text == "none" or (re.fullmatch(rf"{COMPONENT}(?:/{COMPONENT})*", text) and len(text) <= 100):
        return None
    return "expected a path below the registry in lower case, like library, or none"


def desktop_project(text: str) -> str | None:
    return batch_project(text)


def deployment_repository(text: str) -> str | None:
    if text == "none" or any(re.fullmatch(form, text) for form in (GITHUB_REPOSITORY, URL, SCP, LOCAL_PATH)):
        return None
    if re.match(r"[a-z]+://[^/]*:[^/]*@", text):
        return "leave the password out of the URL; for example my-org/my-org-hubs"
    return "expected a GitHub owner/name like my-org/my-org-hubs, a git URL, an absolute path, or none"


def deployment_branch(text: str) -> str | None:
    return None if re.fullmatch(BRANCH, text) else "not a branch name; for example staging"


def promote_branch(text: str) -> str | None:
    return None if re.fullmatch(BRANCH, text) else "not a branch name; for example prod, or none"


def codeowners(text: str) -> str | None:
    if all(re.fullmatch(OWNER, word) for word in text.replace(",", " ").split()):
        return None
    return "expected GitHub users, teams or e-mail addresses, like @my-org/image-team"


def hubtool_commit(text: str) -> str | None:
    if text == "auto" or re.fullmatch(r"[0-9a-f]{40}", text):
        return None
    return "expected the 40 hexadecimal digits of a commit, or auto"


CHECKS = {
    question.__name__: question
    for question in (
        repository_name,
        organisation,
        hub_name,
        registry,
        base_image,
        gpu_base_image,
        python_versions,
        r_versions,
        ides,
        charts,
        coder_template,
        template_folder,
        image_prefix,
        version,
        user_name,
        home,
        pip_mirror,
        batch_project,
        desktop_project,
        deployment_repository,
        deployment_branch,
        promote_branch,
        codeowners,
        hubtool_commit,
    )
}


def problems(answers: dict[str, str]) -> list[str]:
    """One line for each answer that won't do: the question, the answer, and what a good one looks like."""
    found = []
    for key, question in CHECKS.items():
        if key in answers:
            answer = str(answers[key])
            problem = "holds a line break or another control character" if _controls(answer) else question(answer)
            if problem:
                found.append(f"{key}: '{_shown(answer)}': {problem}")
    branches = answers.get("deployment_branch"), answers.get("promote_branch")
    if not found and None not in branches and branches[0] == branches[1]:
        found.append(f"promote_branch: '{branches[1]}': the same as deployment_branch; for example prod, or none")
    return found


def _controls(text: str) -> bool:
    return any(ord(letter) < 32 or ord(letter) == 127 for letter in text)


def _shown(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    # A URL may hold a password, which must not end up in a log.
    printable = re.sub(r"://[^/]*@", "://...@", printable)
    return printable if len(printable) <= 80 else printable[:77] + "..."


def check(answers: dict[str, str]) -> None:
    """End the program where an answer won't do."""
    found = problems(answers)
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    if found:
        sys.exit(1)
