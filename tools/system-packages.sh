#!/usr/bin/env bash
# Installs what the deep tests need beyond Python: a browser, a font for its pictures, a C compiler, git, PostgreSQL,
# strace, Node. Does nothing where they are there already.
set -euo pipefail

missing=()
need() { # need PACKAGE COMMAND...: the package is there when one of the commands is
  local package=$1 command
  shift
  for command in "$@"; do
    if command -v "$command" >/dev/null; then return; fi
  done
  missing+=("$package")
}

need gcc cc gcc
need git git
need nodejs node
need npm npm
if [ "$(uname)" = Linux ]; then need strace strace; fi # Cuts the power at any system call.
need chromium chromium chromium-browser google-chrome
if [ -z "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null || true)" ]; then
  need postgresql initdb # Debian keeps the server's programs off PATH.
fi
if [ "$(uname)" = Linux ] && [ -z "$(find /usr/share/fonts ~/.fonts -name DejaVuSans.ttf 2>/dev/null || true)" ]; then
  missing+=(fonts-dejavu-core)
fi
[ ${#missing[@]} -gt 0 ] || exit 0

say_and_stop() {
  echo "The deep tests need ${missing[*]}, and $1." >&2
  echo "On Debian, as root: apt-get update && apt-get install ${missing[*]}" >&2
  echo "Elsewhere: install what has these names, so that \`chromium\` and \`git\` are on PATH." >&2
  exit 1
}

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
command -v apt-get >/dev/null || say_and_stop "there is no apt-get here to install them"
"${as_root[@]}" true 2>/dev/null || say_and_stop "installing them takes root or sudo without a password"

echo "Installing ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq)
"${apt[@]}" update || echo "apt-get update failed; trying with the lists that are there" >&2
"${apt[@]}" install --yes --no-install-recommends "${missing[@]}" >/dev/null || say_and_stop "apt-get could not install them"
