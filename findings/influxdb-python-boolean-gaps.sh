#!/usr/bin/env bash
# InfluxDB's Python clients write a column of booleans as text, once a value is missing in it.
#
# influxdb-client 1.50.0 and influxdb3-python 0.21.0 (PyPI), with pandas 3.1.1.
# Input:    a data frame of one column, True and False; and the same with a row that has no value.
# Guess:    a missing value leaves its field out, and the others stay booleans.
# Behaviour: with a gap pandas keeps the column as objects, and the clients then write the text "True" in quotes: a string
#           field. Only with pandas' nullable type, `boolean`, it stays a boolean.
# So:       whether a batch has a gap decides the type of a field, which a database may refuse as a conflict of types, or
#           keep as a string from then on.
source "$(dirname "$0")/common.bash"

python_packages influxdb-client==1.50.0 influxdb3-python==0.21.0 pandas==3.1.1

cat > "$work/lines.py" <<'PYTHON'
import pandas
from influxdb_client.client.write import dataframe_serializer as two
from influxdb_client.client.write_api import PointSettings
from influxdb_client_3.write_client.client.write import dataframe_serializer as three
from influxdb_client_3.write_client.client.write_api import PointSettings as PointSettings3

columns = {
    "whole": pandas.Series([True, False]),
    "with a gap": pandas.Series([True, None]),
    "with a gap, nullable": pandas.array([True, None], dtype="boolean"),
}
for client, writer, settings in (("influxdb-client", two, PointSettings), ("influxdb3-python", three, PointSettings3)):
    for name, column in columns.items():
        frame = pandas.DataFrame({"on": column})
        frame.index = [1, 2]
        lines = writer.data_frame_to_list_of_points(frame, settings(), data_frame_measurement_name="pump")
        print(f"{client}, {name}: {' | '.join(lines)}")
PYTHON

"$work/venv/bin/python" "$work/lines.py" | expect 'influxdb-client, whole: pump on=True 1 | pump on=False 2
influxdb-client, with a gap: pump on="True" 1
influxdb-client, with a gap, nullable: pump on=True 1
influxdb3-python, whole: pump on=True 1 | pump on=False 2
influxdb3-python, with a gap: pump on="True" 1
influxdb3-python, with a gap, nullable: pump on=True 1'
