# What people find in their terminals. Names: https://search.nixos.org/packages
pkgs: with pkgs; [
  # Coder's agent, its templates and every editor need these.
  bashInteractive
  coreutils
  curl
  findutils
  gawk
  getent
  git
  gnugrep
  gnused
  gnutar
  gzip
  openssh
  procps
  which
  # Yours.
  jq
  less
]
