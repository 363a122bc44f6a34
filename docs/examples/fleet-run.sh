#!/bin/bash
# fleet-run.sh DUMP...: leak groups of many dumps as ndjson on standard output, with GNU parallel; one line on
# standard error for each dump that could not be analysed, with weephole's exit code.
set -u
export WEEPHOLE=${WEEPHOLE:-weephole}
one() {
	"$WEEPHOLE" findleaks --ndjson --threads=1 -q "$1" 2>/dev/null || echo "exit code $?: $1" >&2
}
export -f one
parallel --will-cite --keep-order one ::: "$@"
