#!/bin/sh
# Runs the benchmarks, or those that are named, one after the other: a line of JSON each. Close other programs first.
# `NAME@mongo` runs one on MongoDB, or what stands in for it here; the line says which server it was.
cd "$(dirname "$0")/../.." || exit 1
PATH=$PWD/node_modules/.bin:$PATH
export PATH
[ $# -gt 0 ] || set -- footprint latency submits store-submit array cold-start takeover planner sim sim@mongo noop noop@mongo containers memory
code=0
for name in "$@"; do
  database=sqlite
  [ "$name" = "${name%@mongo}" ] || database=mongo
  BERTH_TEST_DATABASE=$database node --disable-warning=ExperimentalWarning --expose-gc "test/perf/${name%@mongo}.ts" || code=1
done
exit $code
