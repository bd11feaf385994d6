"""What Coder needs of a workspace image.

C checks read the image, D checks start it as Coder's templates do: the agent's bootstrap as its own program, as the
workspace user, with an empty volume over the home directory. Profile ``bare`` asks for more: what images that were
made from nothing (with Nix, or FROM scratch) lack until someone remembers it.
"""
