#!/usr/bin/env bash
# What `docker run` starts, where Onyxia's charts start the init script alone. The same script, below a first process
# that passes signals on and waits for what was left behind; and the password where the chart's command would have it.
set -euo pipefail

if [[ -n ${PASSWORD:-} && ${1:-} == jupyter ]]; then
  export JUPYTER_TOKEN=$PASSWORD
fi
exec tini -- /opt/onyxia-init.sh "$@"
