#!/bin/bash
# fleet-load.sh DB DAY FILE.ndjson...: loads groups into SQLite.  Loading a dump again replaces its rows.
set -eu
db=$1
day=$2
shift 2
[[ $day =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] || { echo "the day is YYYY-MM-DD" >&2; exit 2; }
for file in "$@"; do
	sqlite3 -bail "$db" <<-SQL
		CREATE TEMP TABLE line (j TEXT);
		.mode ascii
		.separator "\t" "\n"
		.import "$file" line
		BEGIN;
		DELETE FROM leaks WHERE seen = '$day' AND file IN (SELECT j ->> 'file' FROM line);
		INSERT INTO leaks
		SELECT '$day', j ->> 'file', j ->> 'target', j ->> 'identity', j ->> 'signature', j ->> 'weak', j ->> 'cache',
		       j ->> 'kind', j ->> 'count', j ->> 'bytes', j ->> 'hanging_bytes', j ->> 'site', j -> 'stack'
		FROM line;
		COMMIT;
	SQL
done
