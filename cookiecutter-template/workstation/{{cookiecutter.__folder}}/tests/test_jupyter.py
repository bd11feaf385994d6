"""JupyterLab on the desktop."""

import pytest

ASK = """
import sys, urllib.error, urllib.request
from pathlib import Path
token = (Path.home() / ".workstation/jupyter-token").read_text().strip() if sys.argv[1] == "token" else ""
request = urllib.request.Request("http://127.0.0.1:8888/api/contents", headers={"Authorization": f"token {token}"})
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(autouse=True)
def with_jupyter(image):
    if image.files.find("/opt/workstation/jupyter-service") is None:
        pytest.skip("no Jupyter in this image")


def test_it_lets_in_who_has_its_token(container):
    """It lets in who has its token, as the icon on the desktop does."""
    assert container.host.check_output("python3 -c %s token", ASK) == "200"


def test_it_lets_in_nobody_else(container):
    """Without the token it shows nothing."""
    assert container.host.check_output("python3 -c %s none", ASK) == "403"
