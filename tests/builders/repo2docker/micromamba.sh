#!/bin/sh
# Plays micromamba and mamba for a test: resolves channels by .condarc as they do, downloads what it is told to,
# and leaves behind what the install script goes on to use.
set -eu

fetch() { wget --quiet --output-document=/dev/null "$1"; }

# The URL of a channel: a URL as it is, a name by .condarc's custom_multichannels, then its channel_alias, and
# else on conda's public host, as the real program does.
channel() {
  case "$1" in *://*) echo "$1"; return ;; esac
  condarc="$CONDA_DIR/.condarc"
  found=$(awk -v name="  $1:" '$0 == name { getline; sub(/^ *- /, ""); print; exit }' "$condarc")
  [ -n "$found" ] || [ "$1" != defaults ] || found=$(awk '/^default_channels:/ { getline; sub(/^ *- /, ""); print; exit }' "$condarc")
  alias=$(sed -n 's/^channel_alias: //p' "$condarc")
  echo "${found:-${alias:-https://conda.anaconda.org}/$1}"
}

listed() { awk '/^channels:/ { on = 1; next } on && /^ *- / { sub(/^ *- /, ""); print; next } { on = 0 }' "$1"; }

install_from() {
  for name in $(listed "$1"); do
    [ "$name" = nodefaults ] || fetch "$(channel "$name")/noarch/repodata.json"
  done
}

case "$1" in
  shell) echo 'micromamba() { if [ "$1" != activate ]; then /usr/local/bin/micromamba "$@"; fi; }' ;;
  install)
    install_from "$CONDA_DIR/.condarc"
    mkdir -p "$CONDA_DIR/bin" "$CONDA_DIR/etc/profile.d" && cp "$0" "$CONDA_DIR/bin/mamba" ;;
  create)
    prefix=$3
    mkdir -p "$prefix/bin" "$prefix/conda-meta"
    packages=$(grep '^http' "$5" | sed 's/#.*//')
    for package in $packages; do fetch "$package"; done
    printf '{"url": "%s"}' "${packages%%[[:space:]]*}" > "$prefix/conda-meta/first.json"
    printf '#!/bin/sh\n' > "$prefix/bin/npm"
    chmod +x "$prefix/bin/npm" ;;
  env)
    file=$6
    if grep -q '^channels:' "$file"; then install_from "$file"; else install_from "$CONDA_DIR/.condarc"; fi ;;
  clean | list) ;;
  *) echo "micromamba of the test: unknown: $*" >&2; exit 1 ;;
esac
