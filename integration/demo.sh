#!/usr/bin/env bash
# `make demo`: starts a daemon of its own on a free port and a new folder, writes real measurements to it as Telegraf
# would, seals and archives them, and asks for them in PromQL. On a terminal it then waits for Enter, so that Grafana can
# be pointed at it.
#
# The measurements are 20 series of CloudWatch and of machines (Numenta Anomaly Benchmark), from SEALINE_SHARED or
# ../shared; without them, a minute of five invented hosts.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in curl gzip awk; do
  command -v "$tool" >/dev/null || { echo "make demo needs $tool"; exit 1; }
done
cargo build --release --locked --quiet
sealine=${SEALINE_BIN:-${CARGO_TARGET_DIR:-target}/release/sealine}
folder=$(mktemp -d -t sealine-demo.XXXXXX)

"$sealine" serve --data-dir "$folder/data" --http 127.0.0.1:0 --udp "" 2>"$folder/log" &
daemon=$!
finish() {
  kill -TERM "$daemon" 2>/dev/null || true
  wait "$daemon" || true
  rm -rf "$folder"
}
trap finish EXIT

until grep -q ' ready ' "$folder/log"; do
  kill -0 "$daemon" 2>/dev/null || { cat "$folder/log"; exit 1; }
  sleep 0.05
done
address=$(sed -n 's/.*serving HTTP address=\([^ ]*\).*/\1/p' "$folder/log")
echo "Sealine serves at http://$address, its data lies in $folder/data"

# A file `timestamp,value` (UTC) as lines, in seconds: the name says measurement and instance, dates become days since 1970.
csv_to_lines() {
  local name instance=""
  name=$(basename "$1" .csv)
  if [[ $name =~ ^(.*)_([0-9a-f]{6})$ ]]; then name=${BASH_REMATCH[1]} instance=",instance=${BASH_REMATCH[2]}"; fi
  awk -F '[-, :]' -v key="$name$instance" '
    NR > 1 {
      year = $1 - ($2 <= 2); era = int(year / 400); in_era = year % 400
      month = ($2 + 9) % 12
      day = int((153 * month + 2) / 5) + $3 - 1 + in_era * 365 + int(in_era / 4) - int(in_era / 100) + era * 146097 - 719468
      sub(/\r$/, "", $7)
      printf "%s value=%s %d\n", key, $7, day * 86400 + $4 * 3600 + $5 * 60 + $6
    }' "$1"
}

five_hosts() {
  awk -v now="$(date +%s)" 'BEGIN {
    srand(1)
    for (host = 1; host <= 5; host++) busy[host] = 20 * host
    for (at = now - 60; at < now; at++) for (host = 1; host <= 5; host++) {
      busy[host] += rand() * 4 - 2
      if (busy[host] < 0) busy[host] = 0; if (busy[host] > 100) busy[host] = 100
      printf "cpu,host=web-%d usage_user=%.1f,usage_idle=%.1f %d\n", host, busy[host], 100 - busy[host], at
    }
  }'
}

# ask TITLE QUERY AT: shows the question as it may be typed, and the answer as a table.
ask() {
  echo
  echo "$1"
  echo "  curl -s http://$address/api/v1/query -d time=$3 --data-urlencode 'query=$2'"
  curl -s "http://$address/api/v1/query" -d "time=$3" --data-urlencode "query=$2" | as_table
}

# [{"metric":{...},"value":[at,"3"]},...] as lines; any other answer as it is.
as_table() {
  sed -e 's/.*"result":\[//; s/\],*"[a-z]*":.*$//; s/\]}}$//' -e 's/},{"metric":/\n/g; s/{"metric"://' |
    sed -E 's/^(.*),"value":\[[^,]*,"([^"]*)"\]}?$/    \2\t\1/; s/"(\w+)":/\1=/g'
  echo
}

nab="${SEALINE_SHARED:-../shared}/data/nab"
if [ -d "$nab" ]; then
  for file in "$nab"/*.csv; do csv_to_lines "$file"; done >"$folder/lines"
else
  echo "$nab is not there: a minute of five invented hosts instead"
  five_hosts >"$folder/lines"
fi
gzip -k "$folder/lines"
echo
echo "Writing $(wc -l <"$folder/lines") lines, gzip over HTTP, as Telegraf does:"
curl -s -o "$folder/answer" -w '  %{http_code} after %{time_total} s\n' -H 'Content-Encoding: gzip' -H 'User-Agent: Telegraf/1.32.0' \
  "http://$address/write?db=demo&precision=s" --data-binary "@$folder/lines.gz"
cat "$folder/answer"

if [ -d "$nab" ]; then
  at=1393459200 # 2014-02-27
  ask "The mean load of each machine over a day:" 'avg by (instance) (avg_over_time(ec2_cpu_utilization[1d]))' $at
  ask "The three that were busiest in a fortnight:" 'topk(3, max_over_time(ec2_cpu_utilization[14d]))' $at
  ask "Where the last day was more than a tenth off the week before:" \
    'abs(avg_over_time({__name__=~"ec2_.+|rds_.+"}[1d]) / avg_over_time({__name__=~"ec2_.+|rds_.+"}[7d] offset 1d) - 1) > 0.1' $at
  ask "What the slowest hundredth of the requests took in a fortnight:" \
    'quantile_over_time(0.99, ec2_request_latency_system_failure[14d])' 1395360000
else
  now=$(date +%s)
  ask "The load of each host:" 'cpu_usage_user' "$now"
  ask "The two that were busiest in the minute:" 'topk(2, max_over_time(cpu_usage_user[1m]))' "$now"
fi

echo
echo "Sealing what is in memory to disk, then bringing each day into one file:"
echo "  POST /admin/seal              $(curl -s -X POST "http://$address/admin/seal")"
echo "  POST /admin/archive?force=1   $(curl -s -X POST "http://$address/admin/archive?force=1")"
echo "  GET /admin/status             $(curl -s "http://$address/admin/status")"

if [ -d "$nab" ]; then
  ask "The first question again, now answered from those files:" 'avg by (instance) (avg_over_time(ec2_cpu_utilization[1d]))' $at
fi

echo
echo "Grafana: add a data source of type Prometheus with the URL http://$address"
if [ -t 0 ]; then read -r -p "Enter ends the demo and removes its data. " _ || true; fi
