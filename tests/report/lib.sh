# Sourced by the tests of the command line.  $1 of the test: the program; $2: the source folder.
set -u
WEEPHOLE=$(realpath "$1")
SOURCE=$(realpath "$2")
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
failures=0

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# expect CODE command...: runs it, keeps what it printed in $TMP/out and $TMP/err
expect() {
	local want=$1 got
	shift
	"$@" >"$TMP/out" 2>"$TMP/err" </dev/null
	got=$?
	if [ "$got" != "$want" ]; then
		fail "exit code $got, not $want: $*"
		head -3 "$TMP/err"
	fi
}

# says FILE PATTERN: what was printed has it
says() {
	grep -qE -- "$2" "$TMP/$1" || { fail "no '$2' in std$1"; head -3 "$TMP/$1"; }
}

finish() {
	[ $failures = 0 ] && echo "all passed"
	exit $((failures > 0))
}

# Kernel dumps that are shipped, with and without stacks.
STACKS=$SOURCE/fixtures/linux/dumps/linux-6.1-slub_debug.kdump-zstd
PLAIN=$SOURCE/fixtures/linux/dumps/linux-6.12-plain.kdump-zlib
