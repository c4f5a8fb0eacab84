#!/usr/bin/env bash
# Two Sparkplug B libraries do not read each other's integers.
#
# pysparkplug 0.6.1 (PyPI) and sparkplug-payload 1.0.3 (npm).
# Input:    Int8 -1, Int16 -2 and UInt32 4294967295, each in a birth certificate with its data type.
# Guess:    what one writes, the other reads.
# Behaviour: protobuf's int_value is unsigned. pysparkplug puts a negative Int8 there in 8 bits, 255, sparkplug-payload in
#           32 bits, 4294967295. So Node.js reads Python's -1 as 255 although the type says Int8, and Python refuses that
#           of Node.js. pysparkplug writes UInt32 to int_value, sparkplug-payload reads it from long_value alone: null.
#           The other way round UInt32 arrives, and so does Int32 both ways.
# So:       a reader has to take int_value and long_value for every integer type, and cut it to the type's own width.
source "$(dirname "$0")/common.bash"

python_packages pysparkplug==0.6.1
npm_packages sparkplug-payload@1.0.3

cat > "$work/write.py" <<'PYTHON'
from pysparkplug import DataType, DBirth, Metric

for datatype, value in [(DataType.INT8, -1), (DataType.INT16, -2), (DataType.INT32, -3), (DataType.UINT32, 4294967295)]:
    metric = Metric(timestamp=1, name="m", datatype=datatype, value=value)
    print(datatype.name, value, DBirth(timestamp=1, seq=0, metrics=(metric,)).encode().hex())
PYTHON
cat > "$work/read.js" <<'NODE'
const { encodePayload, decodePayload } = require("sparkplug-payload").get("spBv1.0");
for (const line of require("fs").readFileSync(0, "utf8").trim().split("\n")) {
  const [type, value, hex] = line.split(" ");
  console.error(`${type} ${value} of pysparkplug is ${decodePayload(Buffer.from(hex, "hex")).metrics[0].value} in sparkplug-payload`);
}
for (const [type, value] of [["Int8", -1], ["Int16", -2], ["Int32", -3], ["UInt32", 4294967295]]) {
  const payload = encodePayload({ timestamp: 1, seq: 0, metrics: [{ name: "m", timestamp: 1, type, value }] });
  console.log(type, value, Buffer.from(payload).toString("hex"));
}
NODE
cat > "$work/read.py" <<'PYTHON'
import sys

from pysparkplug import DBirth

for line in sys.stdin:
    kind, value, text = line.split()
    try:
        got = DBirth.decode(bytes.fromhex(text)).metrics[0].value
    except OverflowError as error:
        got = f"an error: {error}"
    print(f"{kind} {value} of sparkplug-payload is {got} in pysparkplug")
PYTHON

{
  "$work/venv/bin/python" "$work/write.py" | node "$work/read.js" 2>"$work/first" | "$work/venv/bin/python" "$work/read.py" >"$work/second"
  cat "$work/first" "$work/second"
} | expect "INT8 -1 of pysparkplug is 255 in sparkplug-payload
INT16 -2 of pysparkplug is 65534 in sparkplug-payload
INT32 -3 of pysparkplug is -3 in sparkplug-payload
UINT32 4294967295 of pysparkplug is null in sparkplug-payload
Int8 -1 of sparkplug-payload is an error: Int8 overflow with value 4294967295 in pysparkplug
Int16 -2 of sparkplug-payload is an error: Int16 overflow with value 4294967294 in pysparkplug
Int32 -3 of sparkplug-payload is -3 in pysparkplug
UInt32 4294967295 of sparkplug-payload is 4294967295 in pysparkplug"
