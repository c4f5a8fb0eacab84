# Sourced by the findings: a temporary folder, installers of pinned packages, and the comparison that decides.
# A finding exits with 0 while the software behaves as described, with 1 once it does not, with 2 where it could not be run.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cannot() {
  echo "CANNOT $(basename "$0" .sh): $*" >&2
  exit 2
}

# python_packages NAME==VERSION...: into $work/venv
python_packages() {
  python3 -m venv "$work/venv" || cannot "no python3 with venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$@" || cannot "pip does not install $*"
}

# npm_packages NAME@VERSION...: into $work/node_modules
npm_packages() {
  command -v node >/dev/null || cannot "no node"
  npm install --prefix "$work" --silent --no-fund --no-audit "$@" >/dev/null || cannot "npm does not install $*"
}

# debian_package NAME=VERSION: unpacked into $work/root, not installed
debian_package() {
  (cd "$work" && apt-get download --quiet "$1" >/dev/null 2>&1 && dpkg-deb -x ./*.deb root) || cannot "apt has no $1"
}

# victoria_metrics: Debian's 1.79.5, started on a port of its own; its address is in $url. Ends with the finding.
victoria_metrics() {
  command -v curl >/dev/null || cannot "no curl"
  debian_package victoria-metrics=1.79.5+ds1-2+b5
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  url=http://127.0.0.1:$port
  "$work/root/usr/bin/victoria-metrics" -storageDataPath="$work/data" -httpListenAddr="127.0.0.1:$port" 2>"$work/log" &
  server=$!
  trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
  for _ in $(seq 100); do
    curl --silent --fail --output /dev/null "$url/health" && break
    kill -0 $server || cannot "victoria-metrics ended: $(cat "$work/log")"
    sleep 0.1
  done
}

# expect WANTED: compares with standard input, and shows it
expect() {
  local seen
  seen=$(cat)
  echo "$seen"
  if [ "$seen" != "$1" ]; then
    printf 'CHANGED %s, wanted:\n%s\n' "$(basename "$0" .sh)" "$1"
    exit 1
  fi
  echo "AS DESCRIBED $(basename "$0" .sh)"
}
