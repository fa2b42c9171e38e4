import os
import site
import sys

if os.getcwd() not in sys.path:
    sys.path.insert(0, os.getcwd())
environment = os.environ.get("VIRTUAL_ENV")
if environment and sys.prefix == sys.base_prefix:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site.addsitedir(os.path.join(environment, "lib", version, "site-packages"))
