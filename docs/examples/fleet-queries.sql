.headers on
.mode column
.print '== New signatures in the seven days before the newest dump'
SELECT signature, min(seen) AS first_seen, sum(bytes) AS bytes, count(DISTINCT file) AS dumps, cache, site
FROM leaks
WHERE kind <> 'suppressed'
GROUP BY signature
HAVING min(seen) > (SELECT date(max(seen), '-7 days') FROM leaks)
ORDER BY bytes DESC LIMIT 20;

.print ''
.print '== Worst by bytes'
SELECT signature, sum(bytes) AS bytes, sum(count) AS objects, count(DISTINCT file) AS dumps, cache, site
FROM leaks WHERE kind <> 'suppressed' GROUP BY signature ORDER BY bytes DESC LIMIT 20;

.print ''
.print '== First and last seen'
SELECT signature, min(seen) AS first_seen, max(seen) AS last_seen, count(DISTINCT seen) AS days, site
FROM leaks WHERE kind <> 'suppressed' AND NOT weak GROUP BY signature ORDER BY first_seen DESC, days DESC LIMIT 20;

.print ''
.print '== Kernels and programs affected'
SELECT signature, count(DISTINCT identity) AS kinds, group_concat(DISTINCT identity) AS affected, site
FROM leaks WHERE kind <> 'suppressed' GROUP BY signature ORDER BY kinds DESC, sum(bytes) DESC LIMIT 20;
