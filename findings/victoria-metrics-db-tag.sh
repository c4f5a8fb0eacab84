#!/usr/bin/env bash
# In VictoriaMetrics a tag called `db` moves a point out of the database that it was written to.
#
# victoria-metrics 1.79.5+ds1-2+b5 (Debian 12).
# Input:    two lines to /write?db=plant, one of which has a tag `db`, as exporters of database servers name what they
#           measure.
# Guess:    the database is said by the request; the tag is kept beside it, under its own name or another.
# Behaviour: the tag is kept in place of the database. A query for {db="plant"} does not find the point, and one for the
#           name of any database finds points that were written to others.
# So:       who splits data by database there, or compares a copy by database, has to rename such tags on the way.
source "$(dirname "$0")/common.bash"

victoria_metrics

now=$(date +%s)000000000
printf 'pump,site=north speed=3 %s\nsessions,db=orders open=5 %s\n' "$now" "$now" |
  curl --silent --fail --data-binary @- "$url/write?db=plant" || cannot "the lines were refused"
curl --silent "$url/internal/force_flush"
curl --silent "$url/api/v1/export" --data-urlencode 'match[]={__name__!=""}' |
  python3 -c '
import json, sys
metrics = [json.loads(line)["metric"] for line in sys.stdin]
for metric in sorted(metrics, key=lambda metric: metric["__name__"]):
    print(metric["__name__"], "in", metric["db"])' | expect "pump_speed in plant
sessions_open in orders"
