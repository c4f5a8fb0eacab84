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
