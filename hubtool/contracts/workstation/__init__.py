"""What a platform of workstations (CHAIMELEON and its successors) needs of an image: profiles batch and desktop.

S checks read the image; R checks start it as the platform does: no network at all, the run user's uid and gid, one
more group that no image knows, data sets mounted read-only.
"""
