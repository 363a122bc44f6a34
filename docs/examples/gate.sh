#!/bin/bash
# gate.sh BASELINE DUMP [OPTION...]: the gate for any CI.  The first run on a new branch point writes the baseline.
#
#	exit 0 nothing new leaks       exit 1 something does: the report says what
#	exit 3 could not look: the dump is unreadable; a build must not pass on that
set -u
weephole=${WEEPHOLE:-weephole}
baseline=$1
dump=$2
shift 2
if [ ! -e "$baseline" ]; then
	"$weephole" check --fail-on=none --write-baseline="$baseline" "$@" "$dump" >/dev/null || exit
	echo "wrote $baseline: review it and commit it"
	exit 0
fi
"$weephole" check --baseline="$baseline" --format=junit -o leaks.xml "$@" "$dump"
code=$?
case $code in
0) echo "no new leaks" ;;
1) "$weephole" check --baseline="$baseline" --num-callers=8 "$@" "$dump" ;;
*) echo "weephole could not look (exit code $code)" >&2 ;;
esac
exit $code
