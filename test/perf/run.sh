#!/bin/sh
# Runs the benchmarks, or those that are named, one after the other: a line of JSON each. Close other programs first.
cd "$(dirname "$0")/../.." || exit 1
PATH=$PWD/node_modules/.bin:$PATH
export PATH
[ $# -gt 0 ] || set -- footprint latency submits store-submit array cold-start planner sim noop containers
code=0
for name in "$@"; do
  node --disable-warning=ExperimentalWarning --expose-gc "test/perf/$name.ts" || code=1
done
exit $code
