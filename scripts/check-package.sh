#!/usr/bin/env bash
# Installs the packed tarball in an empty folder, as a user would, and runs its main job under Node and Bun.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

npm run -s build
npm pack --silent --pack-destination "$folder" >/dev/null
cd "$folder"
# A fifth of it is the program that reads damaged files: bundled applications have no file to start it from.
limit=480000
size=$(stat -c %s ./holdfast-*.tgz)
echo "The tarball has $size bytes"
if [ "$size" -gt "$limit" ]; then
  echo "The tarball has more than $limit bytes" >&2
  exit 1
fi
npx --yes publint@0.3.25 --strict ./holdfast-*.tgz
# Decided: "node10" cannot read `exports`, and TypeScript has deprecated it. Requiring an ES module works in every version
# of Node in `engines`, and TypeScript knows that with `module` nodenext or node20 ("node16" still expects CommonJS).
npx --yes @arethetypeswrong/cli@0.18.5 --quiet --ignore-rules no-resolution cjs-resolves-to-esm -- ./holdfast-*.tgz
printf '{ "private": true, "type": "module" }\n' > package.json
printf 'ignore-scripts=true\n' > .npmrc
client=$(node -p "require('$root/package.json').devDependencies['@libsql/client']")
orm=$(node -p "require('$root/package.json').devDependencies['drizzle-orm']")
npm install --silent ./holdfast-*.tgz "@libsql/client@$client" "drizzle-orm@$orm"
# drizzle-kit applies Holdfast's migrations from there.
test -f node_modules/holdfast/drizzle/meta/_journal.json
cp "$root/scripts/check-package.mjs" check.mjs
node check.mjs
bun=$(ls -d "$root"/node_modules/@oven/bun-*/bin/bun | head -n 1)
"$bun" check.mjs
