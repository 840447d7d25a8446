#!/usr/bin/env bash
# Builds examples/next with the packed package in standalone output, moves the output elsewhere, and uses it. Next.js
# takes 400 MB, so this is run by hand before a release.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT

npm run -s build
npm pack --silent --pack-destination "$folder" >/dev/null
cp -r examples/next "$folder/app"
cd "$folder/app"
printf 'ignore-scripts=true\n' > .npmrc
npm install --silent ../holdfast-*.tgz
NEXT_TELEMETRY_DISABLED=1 npx next build
mv .next/standalone "$folder/standalone"
cd "$folder/standalone"
rm -rf "$folder/app"

port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
DATABASE_PATH="$folder/app.db" HOSTNAME=127.0.0.1 PORT=$port node server.js &
server=$!
node "$root/scripts/check-next.mjs" "http://127.0.0.1:$port"
