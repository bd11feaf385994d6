{%- set ides = cookiecutter.__ides.split() -%}
#!/usr/bin/env bash
# Builds the images, and holds them against Onyxia's contract. Options go to hubtool: ./build.sh --dirty
#
#   IMAGE_REGISTRY_HOST, IMAGE_NAMESPACE   where images go, instead of `registry` in hubtool.yaml
#   IMAGE_REPOSITORY                       one image alone, by its name there, like onyxia-{{ ides[0] }}, or by its
#                                          whole name, like {{ cookiecutter.registry }}/onyxia-{{ ides[0] }}
#   IMAGE_TAG                              its tag, instead of what hubtool.yaml says
#   CODE_SERVER_VERSION and the like       instead of the image's `args` in hubtool.yaml
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

fail() {
  printf 'build.sh: %s\n' "$*" >&2
  exit 2
}

for name in IMAGE_REGISTRY_HOST IMAGE_REPOSITORY; do
  [[ ${!name:-} != *://* ]] || fail "$name=${!name}: leave out ${!name%%://*}://"
done
repository=${IMAGE_REPOSITORY:-}
if [[ -n ${IMAGE_REGISTRY_HOST:-}${IMAGE_NAMESPACE:-} ]]; then
  [[ -n ${IMAGE_REGISTRY_HOST:-} && -n ${IMAGE_NAMESPACE:-} ]] || fail "set IMAGE_REGISTRY_HOST and IMAGE_NAMESPACE, or neither"
  export HUBTOOL_REGISTRY=$IMAGE_REGISTRY_HOST/$IMAGE_NAMESPACE
elif [[ $repository == */* ]]; then
  export HUBTOOL_REGISTRY=${repository%/*}
  repository=${repository##*/}
fi

words=()
if [[ -n $repository ]]; then
  for image in {{ ides | join(" ") }} ""; do
    [[ $repository != *"$image" ]] || break
  done
  [[ -n $image ]] || fail "IMAGE_REPOSITORY=$repository: expected a name that ends with one of {{ ides | join(", ") }}"
  export HUBTOOL_REPOSITORY="${repository%"$image"}{image}"
  words+=("$image")
fi
[[ -z ${IMAGE_TAG:-} ]] || words+=(--tag "$IMAGE_TAG")

for name in CODE_SERVER_VERSION JUPYTERLAB_VERSION RSTUDIO_VERSION; do
  [[ -z ${!name:-} ]] || export "HUBTOOL_ARG_$name=${!name}"
done

verbs=(build test)
[[ ${1:-} != --push ]] || { verbs+=(push) && shift; }
for verb in "${verbs[@]}"; do
  asked=()
  [[ $verb != build ]] || asked=(--yes) # all of them, also at a terminal
  hubtool "$verb" "${words[@]}" "${asked[@]}" "$@"
done
