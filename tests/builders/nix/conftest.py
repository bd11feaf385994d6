from tests.builders.nix.store import nix, nix_store

__all__ = ["nix", "nix_store"]
