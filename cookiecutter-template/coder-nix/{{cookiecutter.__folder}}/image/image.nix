# What a distribution would bring and an image made from nothing lacks, with the programs of packages.nix on top.
{ pkgs }:

let
  inherit (pkgs) lib;

  home = "/home/coder";

  programs = pkgs.buildEnv {
    name = "programs";
    paths = import ./packages.nix pkgs;
    pathsToLink = [
      "/bin"
      "/share"
    ];
    ignoreCollisions = true;
  };

  # Authorities of your own, which sign Coder's address or a mirror's: certificates/NAME.crt, PEM.
  authorities = lib.optionals (builtins.pathExists ./certificates) (
    map (
      name:
      builtins.path {
        name = "authority.crt";
        path = ./certificates + "/${name}";
      }
    ) (builtins.filter (lib.hasSuffix ".crt") (builtins.attrNames (builtins.readDir ./certificates)))
  );

  # One bundle, in the three places where programs look.
  certificates = pkgs.runCommand "certificates" { } ''
    mkdir -p $out/etc/ssl/certs $out/etc/pki/tls/certs
    for file in ${toString authorities}; do
      grep -q 'BEGIN CERTIFICATE' $file || { echo "a file of image/certificates is not PEM: $file" >&2; exit 1; }
    done
    for file in ${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt ${toString authorities}; do
      cat $file
      echo
    done > $out/etc/ssl/certs/ca-bundle.crt
    ln -s /etc/ssl/certs/ca-bundle.crt $out/etc/ssl/certs/ca-certificates.crt
    ln -s /etc/ssl/certs/ca-bundle.crt $out/etc/pki/tls/certs/ca-bundle.crt
  '';

  # Who may is what sudoers says.
  permit = "${pkgs.linux-pam}/lib/security/pam_permit.so";
  pam = ''
    auth sufficient ${permit}
    account sufficient ${permit}
    session optional ${permit}
  '';

  files = lib.mapAttrsToList pkgs.writeTextDir {
    # The workspace user's shell is the one that Coder opens terminals with.
    "etc/passwd" = ''
      root:x:0:0:root:/root:/bin/bash
      coder:x:1000:1000:coder:${home}:/bin/bash
      nobody:x:65534:65534:nobody:/var/empty:/bin/false
    '';
    "etc/group" = ''
      root:x:0:
      coder:x:1000:
      nogroup:x:65534:
    '';
    "etc/nsswitch.conf" = ''
      passwd: files
      group: files
      shadow: files
      hosts: files dns
      networks: files
      services: files
      protocols: files
    '';
    "etc/pam.d/sudo" = pam;
    "etc/pam.d/sudo-i" = pam;
  };
in
pkgs.dockerTools.buildLayeredImage {
  name = "{{ cookiecutter.repository_name }}";
  tag = "latest"; # hubtool gives it its own name
  # sysbox, which runs workspaces as if they were machines, takes 64.
  maxLayers = 60;

  contents = [
    programs
    certificates
    pkgs.dockerTools.binSh
    pkgs.dockerTools.usrBinEnv
    pkgs.iana-etc
  ] ++ files;

  # What has an owner or a mode, which nothing in the store has. The working folder is the image's root.
  fakeRootCommands = ''
    mkdir -p etc/skel root run tmp usr/bin var/empty var/tmp .${home}
    chmod 1777 tmp var/tmp
    chmod 700 root
    chown 1000:1000 .${home}

    # Programs that were built elsewhere look for their loader here: VS Code's server, JetBrains', Coder's old init.
    for loader in lib64/ld-linux-x86-64.so.2 lib/ld-linux-aarch64.so.1; do
      if [ -e ${pkgs.glibc}/$loader ]; then
        mkdir -p ''${loader%/*}
        ln -s ${pkgs.glibc}/$loader $loader
      fi
    done

    # A program in the store can't be setuid.
    cp ${pkgs.sudo}/bin/sudo usr/bin/sudo
    chown 0:0 usr/bin/sudo
    chmod 4755 usr/bin/sudo
    printf '%s\n' 'Defaults secure_path=/usr/bin:/bin' 'root ALL=(ALL:ALL) ALL' 'coder ALL=(ALL:ALL) NOPASSWD: ALL' \
      > etc/sudoers
    chmod 440 etc/sudoers
  '';

  config = {
    User = "1000:1000";
    WorkingDir = home;
    Cmd = [ "/bin/bash" ];
    Env = [
      "PATH=/usr/bin:/bin"
      "LANG=C.UTF-8"
      "TERM=xterm-256color"
      "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt"
      "NIX_SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt"
      # libstdc++ for programs that were built elsewhere; those of Nix know their own.
      "LD_LIBRARY_PATH=${lib.makeLibraryPath [ pkgs.stdenv.cc.cc ]}"
    ];
  };
}
