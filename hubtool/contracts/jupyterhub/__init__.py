"""What a JupyterHub with KubeSpawner (Zero to JupyterHub) needs of a single-user image.

J checks read the image, K checks start it as the hub does.
"""
