#!/usr/bin/env bash
# InfluxDB's Python client writes two different tag values as one, where the first ends in a backslash.
#
# influxdb-client 1.50.0 (PyPI), class Point; and its writer of pandas' data frames, with pandas 3.1.1.
# Input:    the tag values `C:\` and `C: `, a drive of Windows and the same with a space for the backslash.
# Guess:    different values give different lines: a client escapes what has to be.
# Behaviour: a space is put behind a value that ends in a backslash. The reader of the line takes the two for an escaped
#           space: the points of both values are of one series, with the tag `C: `. The writer of data frames in the same
#           package adds no space: there the backslash swallows the one that ends the tags, and no reader finds the fields.
# So:       a tag with a trailing backslash cannot be sent with this client; paths come with a slash, or without the last.
source "$(dirname "$0")/common.bash"

python_packages influxdb-client==1.50.0 pandas==3.1.1

cat > "$work/lines.py" <<'PYTHON'
import pandas
from influxdb_client import Point
from influxdb_client.client.write.dataframe_serializer import data_frame_to_list_of_points
from influxdb_client.client.write_api import PointSettings

for value in ("C:\\", "C: "):
    print(f"Point, {value!r}: {Point('disk').tag('path', value).field('used', 1).time(1).to_line_protocol()}")
    frame = pandas.DataFrame({"path": [value], "used": [1]}, index=[1])
    [line] = data_frame_to_list_of_points(
        frame, PointSettings(), data_frame_measurement_name="disk", data_frame_tag_columns=["path"]
    )
    print(f"data frame, {value!r}: {line}")
PYTHON

"$work/venv/bin/python" "$work/lines.py" | expect "Point, 'C:\\\\': disk,path=C:\\  used=1i 1
data frame, 'C:\\\\': disk,path=C:\\ used=1i 1
Point, 'C: ': disk,path=C:\\  used=1i 1
data frame, 'C: ': disk,path=C:\\  used=1i 1"
