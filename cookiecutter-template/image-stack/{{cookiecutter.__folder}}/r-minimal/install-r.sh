#!/bin/bash
# Installs R $R_VERSION: the distribution's own where it has that version, else Posit's build of it.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
# shellcheck source=/dev/null
. /etc/os-release

apt-get update
candidate=$(apt-cache policy r-base-core | sed -n 's/^ *Candidate: //p')
if [[ $candidate == "$R_VERSION"[-.]* ]]; then
  apt-get install --yes --no-install-recommends r-base-core
else
  file=r-${R_VERSION}_1_$(dpkg --print-architecture).deb
  case $ID in
    ubuntu) system=ubuntu-${VERSION_ID//./} ;;
    *) system=$ID-$VERSION_ID ;;
  esac
  curl --fail --silent --show-error --location --output "/tmp/$file" "$R_URL/$system/pkgs/$file"
  apt-get install --yes --no-install-recommends "/tmp/$file"
  ln -s "/opt/R/$R_VERSION/bin/R" "/opt/R/$R_VERSION/bin/Rscript" /usr/local/bin/
  rm "/tmp/$file"
fi
rm -rf /var/lib/apt/lists/*
