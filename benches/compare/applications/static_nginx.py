"""nginx on one process, as its manual recommends for files: sendfile, tcp_nopush, no access log.

usage: static_nginx.py PORT DIRECTORY
"""

import os
import sys
import tempfile

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /static/ {{ alias {directory}/; }}
    }}
}}
"""

port, directory = sys.argv[1:]
home = tempfile.mkdtemp()
path = os.path.join(home, "nginx.conf")
with open(path, "w") as file:
    file.write(CONFIGURATION.format(home=home, port=port, directory=directory))
os.environ["PATH"] += ":/usr/sbin"
os.execvp("nginx", ["nginx", "-p", home, "-c", path, "-e", "stderr"])
