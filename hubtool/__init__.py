"""hubtool carries a hub's image from its repository to its deployment.

``hubtool.yaml`` → plan → build → test → publish → bump; each stop is a package of that name.
"""

__version__ = "0.1.0"
