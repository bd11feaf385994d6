"""Makes the repository whole, and leaves out the files that were not asked for."""

import json
import os
import sys

# Escaped so that no answer can end the string.
ANSWERS = json.loads(r"""{{ cookiecutter | jsonify | replace("'", "\\u0027") }}""")
sys.dont_write_bytecode = True  # the template may be a package that is installed
# A template that was named by a relative path is so from where cookiecutter was started.
sys.path.insert(0, os.path.join(os.environ.get("PWD", "."), ANSWERS["_repo_dir"], os.pardir, "common"))

from finish import finish  # noqa: E402

FILES = {
    "nix": ["default.nix", "flake.nix", "flake.lock", "image.nix", "packages.nix"],
    "debian": ["setup", "files"],
}
# Only where the template is this repository's own does its folder have to be the one that was answered.
if ANSWERS["__own_deployment"] == "yes":
    os.renames("coder-template/main.tf", ANSWERS["template_folder"] + "/main.tf")
finish(
    ANSWERS,
    unwanted=[f"image/{name}" for builder in FILES if builder != ANSWERS["builder"] for name in FILES[builder]],
)
