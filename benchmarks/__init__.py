"""Measurements, each against a named peer in one run."""
