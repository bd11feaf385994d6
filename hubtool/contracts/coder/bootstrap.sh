# What Coder's templates run in a workspace image: fetch the agent, make it executable, become it.
# It needs what Coder's own does, and asks for it in the same order. ACCESS_URL and ARCH are set before it.
# Where Coder's tries for ever, 30 seconds apart, and sleeps a day after a failure, this one is in a hurry.
set -eu
step="start"
trap 'echo "hubtool-bootstrap: failed: $step (code $?)"; sleep 3600' EXIT
name=coder
url="${ACCESS_URL}bin/coder-linux-$ARCH"

step="make a temporary folder (mktemp -d)"
folder=${BINARY_DIR:-$(mktemp -d -t coder.XXXXXX)}
step="change to the folder $folder"
cd "$folder"

fetch() {
	if command -v curl >/dev/null 2>&1; then
		curl -fsSL --compressed "$url" -o "$name"
	elif command -v wget >/dev/null 2>&1; then
		wget -q "$url" -O "$name"
	elif command -v busybox >/dev/null 2>&1; then
		busybox wget -q "$url" -O "$name"
	else
		exit 127
	fi
}
step="fetch $url with curl, wget or busybox"
tries=0
until fetch; do
	tries=$((tries + 1))
	[ "$tries" -lt 3 ] || exit 1
	sleep 1
done

step="make $folder/$name executable"
chmod +x "$name"
export CODER_AGENT_AUTH=token CODER_AGENT_URL="$ACCESS_URL"
step="run $folder/$name --version, with head and grep"
"./$name" --version | head -n1 | grep -q Coder
echo "hubtool-bootstrap: HOME=${HOME-}"
step="run $folder/$name"
exec "./$name" agent
