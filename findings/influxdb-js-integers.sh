#!/usr/bin/env bash
# InfluxDB's JavaScript client rounds a BigInt in a signed integer field, and keeps it in an unsigned one.
#
# @influxdata/influxdb-client 1.35.0 (npm), class Point.
# Input:    2^53 + 1 and 2^63 - 1 as BigInt and as decimal text, since a JavaScript number cannot hold them.
# Guess:    an int64 field takes an int64, or says that it cannot.
# Behaviour: intField goes by way of a double: 2^53 + 1 is one less in the line, without an error, and the largest int64
#           there is becomes 2^63 and is refused as out of range. uintField writes both to the digit.
# So:       integers beyond 2^53 from a browser or Node.js may be wrong in the last digits before they are sent.
source "$(dirname "$0")/common.bash"

npm_packages @influxdata/influxdb-client@1.35.0

cat > "$work/points.js" <<'NODE'
const { Point } = require("@influxdata/influxdb-client");
const show = (what, field, value) => {
  try {
    console.log(`${field} of ${what}: ${new Point("m")[field]("v", value).timestamp("1").toLineProtocol()}`);
  } catch (error) {
    console.log(`${field} of ${what}: ${error.message}`);
  }
};
for (const value of [2n ** 53n + 1n, 2n ** 63n - 1n]) {
  for (const field of ["intField", "uintField"]) {
    show(`the BigInt ${value}`, field, value);
    show(`the text ${value}`, field, String(value));
  }
}
NODE

node "$work/points.js" | expect "intField of the BigInt 9007199254740993: m v=9007199254740992i 1
intField of the text 9007199254740993: m v=9007199254740992i 1
uintField of the BigInt 9007199254740993: m v=9007199254740993u 1
uintField of the text 9007199254740993: m v=9007199254740993u 1
intField of the BigInt 9223372036854775807: invalid integer value for field 'v': '9223372036854775807'!
intField of the text 9223372036854775807: invalid integer value for field 'v': '9223372036854775807'!
uintField of the BigInt 9223372036854775807: m v=9223372036854775807u 1
uintField of the text 9223372036854775807: m v=9223372036854775807u 1"
