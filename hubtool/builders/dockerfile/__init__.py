"""The dockerfile builder: a Dockerfile of the repository's own, built by a hubtool engine."""
