"""Describes the interpreter that runs it, as one JSON object. Started with -E -s -S, so that no .pth file is read; by Python 2, too."""
import sys

# What lies in the working directory is none of the interpreter's.
sys.path[:] = [entry for entry in sys.path if entry]

import glob
import json
import os
import platform
import struct
import sysconfig


def release(info):
    text = "%d.%d.%d" % tuple(info[:3])
    if info[3] != "final":
        text += {"alpha": "a", "beta": "b", "candidate": "rc"}[info[3]] + str(info[4])
    return text


def soabi():
    found = sysconfig.get_config_var("SOABI")
    if found is None and sys.version_info[0] == 2 and platform.python_implementation() == "CPython":
        # Extension modules of Python 2 are not called by it; wheels are.
        found = "cpython-%d%d%s%s" % (
            sys.version_info[0],
            sys.version_info[1],
            "m" if sysconfig.get_config_var("WITH_PYMALLOC") else "",
            "u" if sys.maxunicode > 0xFFFF else "",
        )
    return found


def libc():
    # Older Pythons only say what their executable asks for at least: the library itself is asked.
    try:
        import ctypes
        ask = ctypes.CDLL(None).gnu_get_libc_version
        ask.restype = ctypes.c_char_p
        return ["glibc", ask().decode("ascii")]
    except (ImportError, AttributeError, OSError, ValueError):
        found = list(platform.libc_ver())
    if not found[0] and glob.glob("/lib/ld-musl-*.so.1"):
        # Python says nothing of musl; its loader is at a known place, and its interface is that of 1.2.
        found = ["musl", "1.2"]
    return found


def prefix():
    if sys.platform == "emscripten":
        # Its library is in its memory; what of it is on this machine lies around its executable.
        return os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))
    return os.path.realpath(getattr(sys, "base_prefix", sys.prefix))


# As installers evaluate markers where `sys.implementation` is not there yet.
implementation = getattr(sys, "implementation", None)

print(json.dumps({
    "implementation": implementation.name if implementation else platform.python_implementation().lower(),
    "version": release(sys.version_info),
    "build": sys.version,
    "soabi": soabi(),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "prefix": prefix(),
    "executable": os.path.realpath(sys.executable),
    "library": sysconfig.get_config_var("LIBDIR"),
    "bits": struct.calcsize("P") * 8,
    "machine": platform.machine(),
    "libc": libc(),
    "wasm_abi": sysconfig.get_config_var("PYEMSCRIPTEN_ABI_VERSION"),
    "markers": {
        "implementation_name": implementation.name if implementation else "",
        "implementation_version": release(implementation.version) if implementation else "0",
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
