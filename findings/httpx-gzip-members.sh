#!/usr/bin/env bash
# httpx returns the first part of a gzip body that was written in two, and no error.
#
# httpx 0.28.1, aiohttp 3.14.5 and requests 2.34.2 (PyPI).
# Input:    an answer with Content-Encoding: gzip whose body is two gzip members, one behind the other, as RFC 1952 allows
#           and `cat a.gz b.gz` makes.
# Guess:    a client either reads both or fails.
# Behaviour: httpx stops where the first member ends, drops the rest and reports success. requests and aiohttp, and Python's
#           own gzip, give both.
# So:       a server that sends exports to be read by anybody makes one member of an answer.
source "$(dirname "$0")/common.bash"

python_packages httpx==0.28.1 aiohttp==3.14.5 requests==2.34.2

cat > "$work/ask.py" <<'PYTHON'
import asyncio
import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import httpx
import requests

BODY = gzip.compress(b"first ") + gzip.compress(b"second")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


async def ask_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.read()


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
print("gzip:", gzip.decompress(BODY).decode())
print("requests:", requests.get(url).text)
print("aiohttp:", asyncio.run(ask_aiohttp(url)).decode())
print("httpx:", httpx.get(url).text)
PYTHON

"$work/venv/bin/python" "$work/ask.py" | expect "gzip: first second
requests: first second
aiohttp: first second
httpx: first "
