"""Checks the answers before a file is written."""

import json
import os
import sys

# Escaped so that no answer can end the string.
ANSWERS = json.loads(r"""{{ cookiecutter | jsonify | replace("'", "\\u0027") }}""")
sys.dont_write_bytecode = True  # the template may be a package that is installed
# A template that was named by a relative path is so from where cookiecutter was started.
sys.path.insert(0, os.path.join(os.environ.get("PWD", "."), ANSWERS["_repo_dir"], os.pardir, "common"))

from answers import check  # noqa: E402

check(ANSWERS)
