# The same image as a flake's output: nix build .#default. `nix flake update` moves flake.lock to newer packages.
{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    {
      packages = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: {
        default = import ./default.nix {
          inherit system;
          nixpkgs = nixpkgs.outPath;
        };
      });
    };
}
