"""Makes the repository whole, and leaves out the files that were not asked for."""

import json
import os
import shutil
import sys

# Escaped so that no answer can end the string.
ANSWERS = json.loads(r"""{{ cookiecutter | jsonify | replace("'", "\\u0027") }}""")
sys.dont_write_bytecode = True  # the template may be a package that is installed
# A template that was named by a relative path is so from where cookiecutter was started.
sys.path.insert(0, os.path.join(os.environ.get("PWD", "."), ANSWERS["_repo_dir"], os.pardir, "common"))

from finish import COMMON, finish  # noqa: E402

# What all images for Onyxia have.
for name in ("base/onyxia-init.sh", "base/entrypoint.sh", "rstudio/init", "rstudio/environment.R"):
    shutil.copy(COMMON.parent / "onyxia-ide" / "{% raw %}{{cookiecutter.__folder}}{% endraw %}" / name, name)

python = ("python-minimal", "python-datascience", "python-pytorch", "jupyter", "vscode/extensions-python.txt")
r = ("r-minimal", "r-datascience", "rstudio", "vscode/extensions-r.txt")
finish(ANSWERS, unwanted={"python-and-r": (), "python": r, "r": python}[ANSWERS["languages"]])
