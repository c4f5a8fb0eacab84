#!/usr/bin/env bash
# VictoriaMetrics stores a string field of line protocol as the number 0.
#
# victoria-metrics 1.79.5+ds1-2+b5 (Debian 12).
# Input:    a line with a string field, as agents send them for states, versions and serial numbers.
# Guess:    a store of numbers leaves strings out, or refuses the line.
# Behaviour: 204, and a series whose value is 0. A string that reads as a number becomes that number. So the
#           state "running" cannot be told from a measured zero.
# So:       who compares it with a store that leaves strings out finds series that the other does not have.
source "$(dirname "$0")/common.bash"

victoria_metrics

now=$(date +%s)000000000
printf 'pump state="running",speed=3,serial="42" %s\n' "$now" |
  curl --silent --fail --data-binary @- "$url/write?db=plant" || cannot "the lines were refused"
curl --silent "$url/internal/force_flush"
curl --silent "$url/api/v1/export" --data-urlencode 'match[]={db="plant"}' |
  python3 -c '
import json, sys
for line in sorted(json.loads(line)["metric"]["__name__"] + " " + str(json.loads(line)["values"][0]) for line in sys.stdin):
    print(line)' | expect "pump_serial 42
pump_speed 3
pump_state 0"
