"""Expressions that yield a real, tiny image with neither nixpkgs nor a compiler."""

from __future__ import annotations

from pathlib import Path

from hubtool.machine import architecture_of

# Writes a docker archive of one layer with a static program, as dockerTools does: argv is what to write it to, the
# program, a word, and the architecture.
WRITER = """\
import gzip, hashlib, io, json, os, sys, tarfile

def tar(files):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()

target, program, word, architecture = sys.argv[1:]
layer = tar({"bin/program": open(program, "rb").read(), "word": word.encode()})
config = {
    "architecture": architecture,
    "os": "linux",
    "created": "1970-01-01T00:00:01Z",
    "config": {"Cmd": ["/bin/program", "--version"], "User": "1000", "Labels": {"own": "yes", "word": word}},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
}
config = json.dumps(config).encode()
name = hashlib.sha256(config).hexdigest() + ".json"
manifest = json.dumps([{"Config": name, "RepoTags": ["nix:made"], "Layers": ["layer.tar"]}]).encode()
whole = tar({"layer.tar": layer, name: config, "manifest.json": manifest})
with os.fdopen(1, "wb") if target == "-" else open(target, "wb") as out:
    out.write(gzip.compress(whole, mtime=0) if target.endswith(".gz") else whole)
"""

PYTHON = "/usr/bin/python3"
# Static, and on every Debian and Ubuntu.
PROGRAM = next(file for file in ("/sbin/ldconfig.real", "/sbin/ldconfig") if Path(file).exists())

EXPRESSION = (
    """\
{ word ? "hello", architecture ? "ARCHITECTURE" }:
let
  writer = ./writer.py;
  make = name: script: derivation {
    inherit name script;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  write = target: "PYTHON ${writer} ${target} PROGRAM ${word} ${architecture}";
in
{
  archive = make "image.tar.gz" "${write "$TMPDIR/image.tar.gz"} && /bin/cp $TMPDIR/image.tar.gz $out";
  stream = make "stream-image" ''
    echo '#!/bin/sh' > $out
    echo 'exec ${write "-"}' >> $out
    /bin/chmod +x $out
  '';
  cut = make "cut.tar" "${write "$TMPDIR/a.tar"} && /usr/bin/head -c 100000 $TMPDIR/a.tar > $out";
  text = make "text" "echo no image > $out";
  folder = make "folder" "/bin/mkdir $out";
  fails = make "fails" "echo it went wrong; exit 3";
  failing = make "failing" "printf '#!/bin/sh\\necho no luck >&2; exit 4\\n' > $out; /bin/chmod +x $out";
  twice = [ (make "a" "echo > $out") (make "b" "echo > $out") ];
  number = 1;
}
""".replace("PYTHON", PYTHON)
    .replace("PROGRAM", PROGRAM)
    .replace("ARCHITECTURE", architecture_of())
)
FLAKE = """\
{
  outputs = { self }:
    let images = system: import ./images.nix { inherit system; };
    in { packages = builtins.listToAttrs (map (system: { name = system; value = images system; })
      [ "x86_64-linux" "aarch64-linux" ]); };
}
"""
FILES = {"default.nix": EXPRESSION, "writer.py": WRITER}
# A flake's evaluation knows no current system.
FLAKE_EXPRESSION = EXPRESSION.replace("{ word ?", "{ system, word ?").replace("builtins.currentSystem", "system")
FLAKE_FILES = {"flake.nix": FLAKE, "images.nix": FLAKE_EXPRESSION, "writer.py": WRITER}
