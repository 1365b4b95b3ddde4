#!/bin/sh
# Runs all tests: `quick` (as `npm test` does) or `slow`, the same suites with larger numbers of runs, and the mutants.
# Further arguments go to vitest, as in `sh test/run.sh quick test/e2e/users.test.ts`.
set -u
size=${1:-quick}
[ $# -gt 0 ] && shift
cd "$(dirname "$0")/.." || exit 1
case $size in
  quick | slow) ;;
  *) echo "usage: test/run.sh quick|slow [vitest arguments]" >&2; exit 2 ;;
esac

# The project's own Node comes first on the path, because tools start `node` by name and the machine's Node may be too old.
PATH=$PWD/node_modules/.bin:$PATH
export PATH
if ! node -e 'process.exit(parseInt(process.versions.node, 10) >= 24 ? 0 : 1)' 2>/dev/null; then
  echo "tests need Node 24 or newer and found $(node --version 2>/dev/null || echo none); run npm ci" >&2
  exit 1
fi

NO_COLOR=1
BERTH_TEST_SIZE=$size
NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/berth}
export NO_COLOR BERTH_TEST_SIZE NODE_COMPILE_CACHE

sh test/prepare.sh
failed=""
passes=0
failures=0
step() {
  name=$1
  shift
  echo "== $name"
  if "$@"; then passes=$((passes + 1)); else
    failures=$((failures + 1))
    failed="$failed $name"
  fi
}

if [ $# -eq 0 ]; then
  step types tsc -p tsconfig.json
  step lint oxlint --type-aware --type-check
  step format oxfmt --check .
  step proto sh -c 'buf lint proto && buf format -d --exit-code proto'
  step unit vitest run --project unit --project sim --project repo
  step system vitest run --project contract --project integration --project e2e --project faults
  [ "$size" = quick ] || step mutants node test/mutants/run.ts
else
  step tests vitest run "$@"
fi

[ -z "$failed" ] || echo "FAILED:$failed"
echo "$passes passed, $failures failed"
[ -z "$failed" ]
