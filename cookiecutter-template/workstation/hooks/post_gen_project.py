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

tools = {"both": {"pytorch", "tensorflow"}, "none": set()}.get(ANSWERS["ai_tool"], {ANSWERS["ai_tool"]})
devices = {"cpu", "cuda"} if ANSWERS["cuda"] == "yes" else {"cpu"}
wanted = {
    f"ai-tool/{tool}-{device}.txt": tool in tools and device in devices
    for tool in ("pytorch", "tensorflow")
    for device in ("cpu", "cuda")
}
if not tools:
    wanted = {"ai-tool": False}
wanted |= {
    "desktop": ANSWERS["desktop"] != "no",
    "jupyter": ANSWERS["desktop"] == "with-jupyter",
    "tests/test_jupyter.py": ANSWERS["desktop"] == "with-jupyter",
}
finish(ANSWERS, unwanted=[name for name in wanted if not wanted[name]])
