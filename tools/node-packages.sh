#!/usr/bin/env bash
# Installs what the deep tests run on Node: Azurite, a server of Azure's protocol of blobs. It goes into the cache of this
# project, outside the repository, and is left alone where it is whole.
set -euo pipefail

version=3.37.0
folder=${XDG_CACHE_HOME:-$HOME/.cache}/loopline/node/azurite-$version
program=$folder/node_modules/.bin/azurite-blob
if [ -e "$folder/ready" ] && [ -x "$program" ]; then exit 0; fi
echo "Installing Azurite $version"
rm -rf "$folder"
mkdir -p "$folder"
if ! npm install --prefix "$folder" --no-audit --no-fund --loglevel=error "azurite@$version" >/dev/null; then
  echo "npm could not install azurite@$version. Set npm's registry or proxy (npm config), then run this again." >&2
  exit 1
fi
touch "$folder/ready"
