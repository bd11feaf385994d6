# As much of nixpkgs as the template coder-nix asks for, where nixpkgs is out of reach: the same functions with the same
# arguments, and packages that are this machine's own programs, changed to find their libraries in the store. Builds see
# this machine (sandbox = false).
{ system, config, overlays }:
let
  run = name: settings: script: derivation ({
    inherit name system;
    builder = "/bin/bash";
    # bash hands its process to the last program, and Nix kills a builder that closes its output, as those of
    # coreutils do before they end.
    args = [ "-euo" "pipefail" "-c" "${script}\ntrue" ];
    PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
    SOURCE_DATE_EPOCH = "315532800";
  } // settings);
  take = name: words:
    run name { libraries = if name == "libraries" then "" else "${libraries}"; } "/bin/bash ${./take} ${words}";
  debian = package: take package "programs ${package}";
  libraries = take "libraries" "libraries";
in
rec {
  lib = {
    mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
    genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);
    optionals = condition: list: if condition then list else [ ];
    hasSuffix = suffix: text:
      let size = builtins.stringLength suffix; all = builtins.stringLength text;
      in all >= size && builtins.substring (all - size) size text == suffix;
    makeLibraryPath = packages: builtins.concatStringsSep ":" (map (package: "${package.lib}/lib") packages);
  };

  stdenv.cc.cc.lib = take "gcc-lib" "library libstdc++.so.6 libgcc_s.so.1";
  glibc = take "glibc" "glibc";
  bashInteractive = debian "bash";
  coreutils = debian "coreutils";
  curl = debian "curl";
  findutils = debian "findutils";
  gawk = debian "mawk";
  getent = debian "libc-bin";
  git = debian "git";
  gnugrep = debian "grep";
  gnused = debian "sed";
  gnutar = debian "tar";
  gzip = debian "gzip";
  jq = debian "jq";
  less = debian "less";
  openssh = debian "openssh-client";
  procps = debian "procps";
  sudo = take "sudo" "sudo";
  which = debian "debianutils";
  linux-pam = take "linux-pam" "pam";
  cacert = run "cacert" { } ''
    mkdir -p $out/etc/ssl/certs
    cp /etc/ssl/certs/ca-certificates.crt $out/etc/ssl/certs/ca-bundle.crt
  '';
  iana-etc = run "iana-etc" { } "mkdir -p $out/etc; printf 'ssh 22/tcp\n' > $out/etc/services";

  runCommand = run;
  writeTextDir = path: text: run (baseNameOf path) { inherit text; } ''
    mkdir -p "$(dirname "$out/${path}")"
    printf %s "$text" > "$out/${path}"
  '';
  buildEnv = { name, paths, pathsToLink, ignoreCollisions }: run name { } ''
    for package in ${toString paths}; do
      for folder in ${toString pathsToLink}; do
        [ ! -d $package$folder ] || { mkdir -p $out$folder; cp -rsn --no-preserve=mode $package$folder/. $out$folder; }
      done
    done
  '';

  dockerTools = {
    binSh = run "bin-sh" { } "mkdir -p $out/bin; ln -s ${bashInteractive}/bin/bash $out/bin/sh";
    # Debian's programs have folders compiled in where nixpkgs' have the store; those come with this package.
    usrBinEnv = run "usr-bin-env" { } ''
      mkdir -p $out/usr/bin $out/usr/lib $out/usr/libexec
      ln -s ${coreutils}/bin/env $out/usr/bin/env
      ln -s ${glibc}/lib $out/usr/lib/$(uname -m)-linux-gnu
      ln -s ${glibc}/lib/locale $out/usr/lib/locale
      ln -s ${git}/libexec $out/usr/lib/git-core
      ln -s ${sudo}/libexec/sudo $out/usr/libexec/sudo
    '';
    buildLayeredImage = { name, tag, contents, config, maxLayers, fakeRootCommands }:
      let
        conf = builtins.toFile "conf.json" (builtins.unsafeDiscardStringContext (builtins.toJSON config));
        # Its closure is what the config names.
        named = run "named" { named = builtins.toJSON config; } ''printf %s "$named" > $out'';
        customisation = run "customisation-layer" { inherit fakeRootCommands; } ''
          mkdir root $out
          for package in ${toString contents}; do cp -rsn --no-preserve=mode $package/. root; done
          fakeroot /bin/bash -euo pipefail -c '
            cd root
            eval "$fakeRootCommands"
            tar --sort=name --numeric-owner --mtime=@$SOURCE_DATE_EPOCH -cf $out/layer.tar .
          '
        '';
      in
      run "${name}.tar.gz"
        {
          exportReferencesGraph = [ "customisation" customisation "named" named ];
          inherit conf customisation named maxLayers;
          reference = "${name}:${tag}";
          store = builtins.storeDir;
        }
        "/usr/bin/python3 ${./image.py}";
  };
}
