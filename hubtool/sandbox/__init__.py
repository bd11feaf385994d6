"""Real parts on one machine, for the demo and the tests: a Docker daemon, a registry, a base image.

Nothing here is needed to work with parts that are already there.
"""
