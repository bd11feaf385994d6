# The image, as hubtool builds it. nixpkgs is what flake.lock says. Arguments come from `args` of hubtool.yaml: `mirror`
# is where the archives of nixpkgs' commits are, `nixpkgs` a folder to take instead.
let
  locked = (builtins.fromJSON (builtins.readFile ./flake.lock)).nodes.nixpkgs.locked;
in
{
  mirror ? "https://github.com/NixOS/nixpkgs/archive",
  nixpkgs ? fetchTarball {
    url = "${mirror}/${locked.rev}.tar.gz";
    sha256 = locked.narHash;
  },
  system ? builtins.currentSystem,
}:
import ./image.nix {
  pkgs = import nixpkgs {
    inherit system;
    config = { };
    overlays = [ ];
  };
}
