#!/usr/bin/env bash
# What an Onyxia chart starts first in an IDE's container: it sets the tools up from the environment, then becomes the
# IDE. The values come from users and sites. They stay data: none is pasted into code, another address or a file that
# is run. A step that fails says so, and the IDE starts all the same.
set -euo pipefail

VERSION=1.0.0
SECONDS_TO_FETCH=30
# Started as root, all is done as this user; RStudio's service alone stays root.
AS_USER=(setpriv --reuid=onyxia --regid=users --init-groups --)

say() { printf 'onyxia-init: %s\n' "$*" >&2; }

fetch() { # URL FILE [curl's options]
  local url=$1 file=$2
  shift 2
  curl --fail --silent --show-error --location --globoff --proto '=http,https' --max-time "$SECONDS_TO_FETCH" \
    --output "$file" "$@" --url "$url"
}

# PATH_TO_CA_BUNDLE is a whole bundle, or a folder with further certificates, as charts mount one in the usual place.
certificates() {
  local bundle=${PATH_TO_CA_BUNDLE:-} folder=/usr/local/share/ca-certificates
  [[ ! -d $bundle ]] || { folder=${bundle%/} bundle=; }
  if [[ -z $bundle ]] && compgen -G "$folder/*.crt" >/dev/null; then
    bundle=$HOME/.cache/onyxia-init/ca-bundle.crt
    mkdir -p "${bundle%/*}" || return
    # Not every certificate ends with a line end.
    { cat /etc/ssl/certs/ca-certificates.crt && for file in "$folder"/*.crt; do cat "$file" && echo; done; } >"$bundle" || return
  fi
  [[ -n $bundle ]] || return 0
  [[ -r $bundle ]] || { say "PATH_TO_CA_BUNDLE can't be read"; return 1; }
  export SSL_CERT_FILE=$bundle CURL_CA_BUNDLE=$bundle REQUESTS_CA_BUNDLE=$bundle
  export PIP_CERT=$bundle GIT_SSL_CAINFO=$bundle NODE_EXTRA_CA_CERTS=$bundle
  export CONDA_SSL_VERIFY=$bundle MAMBA_SSL_VERIFY=$bundle AWS_CA_BUNDLE=$bundle JULIA_SSL_CA_ROOTS_PATH=$bundle
}

run_script() { # URL CHECKSUM [arguments]
  local url=$1 checksum=${2,,} file trusted=() # some programs print it in capitals
  shift 2
  [[ -n $url ]] || return 0
  file=$(mktemp) || return
  # The script may be what brings the authority of its own server: its checksum says that nobody changed it.
  [[ -z $checksum ]] || trusted=(--insecure)
  fetch "$url" "$file" "${trusted[@]}" || return
  if [[ -n $checksum && $(sha256sum <"$file") != "$checksum  -" ]]; then
    say "the script has another checksum, and is not run"
    return 1
  fi
  bash "$file" "$@"
}

region_script() { run_script "${REGION_INIT_SCRIPT:-}" "${REGION_INIT_SCRIPT_CHECKSUM:-}"; }

personal_script() {
  local -a words
  read -r -d '' -a words <<<"${PERSONAL_INIT_ARGS:-}"
  run_script "${PERSONAL_INIT_SCRIPT:-}" "" "${words[@]}"
}

# Each key of the user's secret becomes a variable. The token travels on curl's standard input, not in its arguments.
vault() {
  [[ -n ${VAULT_ADDR:-} && -n ${VAULT_TOKEN:-} ]] || return 0
  local answer key value
  answer=$(mktemp) || return
  printf 'X-Vault-Token: %s\n' "${VAULT_TOKEN//[$'\r\n']/}" |
    fetch "${VAULT_ADDR%/}/v1/${VAULT_MOUNT:-}/data/${VAULT_TOP_DIR:-}/${VAULT_RELATIVE_PATH:-}" "$answer" --header @- ||
    return
  while read -r key value; do
    key=$(base64 -d <<<"$key")
    value=$(base64 -d <<<"$value" && echo .)
    if [[ $key =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]]; then
      export "$key=${value%.}"
    else
      say "a key of the secret is no name of a variable, and left out"
    fi
  done < <(jq -r '.data.data | to_entries[] | "\(.key | @base64) \(.value | tostring | @base64)"' "$answer")
  rm -f "$answer"
}

s3() {
  [[ -n ${AWS_ACCESS_KEY_ID:-} && -n ${AWS_S3_ENDPOINT:-} ]] && command -v mc >/dev/null || return 0
  export MC_HOST_s3="https://$AWS_ACCESS_KEY_ID:${AWS_SECRET_ACCESS_KEY:-}:${AWS_SESSION_TOKEN:-}@$AWS_S3_ENDPOINT"
}

git_settings() {
  [[ -z ${GIT_USER_NAME:-} ]] || git config --global user.name "$GIT_USER_NAME"
  [[ -z ${GIT_USER_MAIL:-} ]] || git config --global user.email "$GIT_USER_MAIL"
  # git runs a helper's options by a shell.
  [[ ! ${GIT_CREDENTIALS_CACHE_DURATION:-} =~ ^[0-9]+$ ]] ||
    git config --global credential.helper "cache --timeout=$GIT_CREDENTIALS_CACHE_DURATION"
  git config --global pull.rebase false
}

# The token stays in the environment: git asks this helper for it, for the repository's own host, in terminals too.
# shellcheck disable=SC2016
TOKEN_HELPER='!printf "username=oauth2\npassword=%s\n" "$(printf %s "$GIT_PERSONAL_ACCESS_TOKEN" | head -n 1)" #'

git_clone() {
  [[ -n ${GIT_REPOSITORY:-} ]] || return 0
  local folder branch=()
  folder=${ROOT_PROJECT_DIRECTORY:-$PWD}/$(basename -- "$GIT_REPOSITORY" .git)
  [[ ! -e $folder ]] || return 0
  [[ -z ${GIT_BRANCH:-} ]] || branch=("--branch=$GIT_BRANCH")
  if [[ -n ${GIT_PERSONAL_ACCESS_TOKEN:-} && $GIT_REPOSITORY =~ ^(https?://[A-Za-z0-9.:-]+)/ ]]; then
    git config --global "credential.${BASH_REMATCH[1]}.helper" "$TOKEN_HELPER"
  fi
  GIT_ALLOW_PROTOCOL=http:https:ssh:git GIT_TERMINAL_PROMPT=0 timeout 300 git clone "${branch[@]}" -- "$GIT_REPOSITORY" "$folder"
}

# R reads the address itself, when it starts. Instead of the public one, which a closed site would wait for in vain.
R_PROFILE='options(repos = c(CRAN = Sys.getenv("R_REPOSITORY")))'

packages() {
  [[ -z ${PIP_REPOSITORY:-} ]] || export PIP_INDEX_URL=$PIP_REPOSITORY UV_DEFAULT_INDEX=$PIP_REPOSITORY
  # pip passes over a mirror without TLS that nobody said to trust.
  [[ ! ${PIP_REPOSITORY:-} =~ ^http://([^/@]*@)?([A-Za-z0-9.:-]+)(/|$) ]] ||
    export PIP_TRUSTED_HOST="${PIP_TRUSTED_HOST:+$PIP_TRUSTED_HOST }${BASH_REMATCH[2]}"
  # conda, mamba and micromamba; the others are what the channel "defaults" stands for.
  [[ -z ${CONDA_REPOSITORY:-} ]] || export CONDA_CHANNELS=$CONDA_REPOSITORY \
    CONDA_DEFAULT_CHANNELS=$CONDA_REPOSITORY MAMBA_DEFAULT_CHANNELS=$CONDA_REPOSITORY
  if [[ -n ${R_REPOSITORY:-} ]] && command -v Rscript >/dev/null; then
    grep --quiet --line-regexp --fixed-strings "$R_PROFILE" ~/.Rprofile 2>/dev/null || printf '%s\n' "$R_PROFILE" >>~/.Rprofile
  fi
}

set_json() { # FILE KEY VALUE: one key of a JSON file, which is written beside and renamed
  local file=$1
  mkdir -p "$(dirname "$file")" || return
  [[ -s $file ]] || echo '{}' >"$file"
  jq --arg key "$2" --arg value "$3" '.[$key] = $value' "$file" >"$file.new" && mv "$file.new" "$file"
}

dark_mode() { # IDE
  [[ ${DARK_MODE:-} == true ]] || return 0
  case $1 in
    code-server)
      set_json "${XDG_DATA_HOME:-$HOME/.local/share}/code-server/User/settings.json" workbench.colorTheme 'Default Dark Modern' ;;
    jupyter)
      set_json "$HOME/.jupyter/lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings" theme 'JupyterLab Dark' ;;
    init)
      set_json "${XDG_CONFIG_HOME:-$HOME/.config}/rstudio/rstudio-prefs.json" editor_theme 'Vibrant Ink' ;;
  esac
}

set_up() { # IDE
  local step
  for step in certificates region_script certificates vault s3 git_settings git_clone packages dark_mode personal_script; do
    "$step" "$1" </dev/null >&2 || say "$step: failed"
  done
}

# As the user, in a process of its own: files are the user's, and what the steps export comes back.
set_up_as_user() { # IDE
  local entry
  while IFS= read -r -d '' entry; do
    [[ ! $entry =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || export "${entry?}"
  done < <("${AS_USER[@]}" "$0" --environment "$1")
}

[[ ${1:-} != --version ]] || { echo "onyxia-init $VERSION"; exit; }
[[ ${1:-} != --environment ]] || { set_up "${2:-}"; exec env --null; }
[[ $# -gt 0 ]] || { say "there is nothing to start: give the IDE's command"; exit 64; }

ide=$(basename -- "$1")
# A login in front of the IDE makes its own one superfluous, where the site says so.
if [[ ${CODE_SERVER_AUTH:-} == none && $ide == code-server && " $* " != *" --auth "* ]]; then
  set -- "$1" --auth none "${@:2}"
fi

if [[ $(id -u) != 0 ]]; then
  set_up "$ide"
elif "${AS_USER[@]}" true; then
  set_up_as_user "$ide"
  [[ $1 == /init ]] || set -- "${AS_USER[@]}" "$@"
else
  say "root may not become the user here: files will be root's"
  set_up "$ide"
fi

exec "$@"
