"""Describes the interpreter that runs it, as one JSON object. Started with -I -S, so that no .pth file is read."""
import glob
import json
import os
import platform
import struct
import sys
import sysconfig

version = "%d.%d.%d" % sys.version_info[:3]
if sys.version_info[3] != "final":
    version += {"alpha": "a", "beta": "b", "candidate": "rc"}[sys.version_info[3]] + str(sys.version_info[4])

libc, libc_version = platform.libc_ver()
if not libc and glob.glob("/lib/ld-musl-*.so.1"):
    # Python says nothing of musl; its loader is at a known place, and its interface is that of 1.2.
    libc, libc_version = "musl", "1.2"

print(json.dumps({
    "implementation": sys.implementation.name,
    "version": version,
    "build": sys.version,
    "soabi": sysconfig.get_config_var("SOABI"),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "prefix": os.path.realpath(sys.base_prefix),
    "executable": os.path.realpath(sys.executable),
    "library": sysconfig.get_config_var("LIBDIR"),
    "bits": struct.calcsize("P") * 8,
    "machine": platform.machine(),
    "libc": [libc, libc_version],
    "markers": {
        "implementation_name": sys.implementation.name,
        "implementation_version": "%d.%d.%d" % sys.implementation.version[:3],
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    },
}))
