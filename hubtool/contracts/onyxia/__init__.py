"""What Onyxia's charts for IDEs (code-server, JupyterLab, RStudio) need of an image.

S checks read the image, R checks start it as the charts do and as ``docker run`` does. V checks set the variables that
Onyxia and its regions inject: each says whether the image implements a variable (it passes), ignores it (it is
skipped) or breaks on it (it fails). H checks give the same variables hostile values, which must stay data.
"""
