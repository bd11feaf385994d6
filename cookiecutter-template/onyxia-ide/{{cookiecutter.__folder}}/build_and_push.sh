#!/usr/bin/env bash
# Builds the images, holds them against Onyxia's contract, and pushes those that keep it; log in before: docker login HOST
# The variables and options are those of build.sh.
set -euo pipefail
exec "$(dirname -- "${BASH_SOURCE[0]}")/build.sh" --push "$@"
