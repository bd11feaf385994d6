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

finish(ANSWERS, unwanted=sorted({"code-server", "jupyter", "rstudio"} - set(ANSWERS["__ides"].split())))
