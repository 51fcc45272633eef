"""Imports modules and resolves entry points, each in a fresh interpreter; runs inside the sandbox.

Usage: imports.py RESULTS KIND:NAME...

KIND is `module` (NAME is imported), `entry` (NAME is module:attribute, resolved) or `script` (NAME is a program of the
environment, started with --help for at most 10 s). Appends one JSON line for each to RESULTS:
{"kind", "name", "status", "done"}; status is the exit status, 128+n for signal n; done says that the code went through to
its end, which an exit status of 0 does not prove.
"""
import json
import os
import subprocess
import sys

IMPORT = "import importlib, os, sys; importlib.import_module(sys.argv[1]); os.write(int(sys.argv[2]), b'done')"
RESOLVE = (
    "import functools, importlib, os, sys\n"
    "module, _, attribute = sys.argv[1].partition(':')\n"
    "functools.reduce(getattr, [part for part in attribute.split('.') if part], importlib.import_module(module))\n"
    "os.write(int(sys.argv[2]), b'done')\n"
)


def interpreted(code, name):
    reading, writing = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", code, name, str(writing)], pass_fds=(writing,))
    os.close(writing)
    status = child.wait()
    os.set_blocking(reading, False)
    try:
        done = os.read(reading, 4) == b"done"
    except BlockingIOError:
        done = False
    os.close(reading)
    return status, done


def started(name):
    program = os.path.join(os.path.dirname(sys.executable), name)
    child = subprocess.Popen([program, "--help"], start_new_session=True)
    try:
        status = child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        status = child.wait()
    return status, status == 0


def main():
    results, names = sys.argv[1], sys.argv[2:]
    for kind_and_name in names:
        kind, _, name = kind_and_name.partition(":")
        print("==> %s %s" % ({"module": "import", "entry": "resolve", "script": "start"}[kind], name))
        sys.stdout.flush()
        if kind == "script":
            status, done = started(name)
        else:
            status, done = interpreted(IMPORT if kind == "module" else RESOLVE, name)
        status = 128 - status if status < 0 else status
        if status == 0 and not done:
            print("the interpreter exited before %s was done" % name)
        sys.stdout.flush()
        with open(results, "a") as stream:
            stream.write(json.dumps({"kind": kind, "name": name, "status": status, "done": done}) + "\n")


main()
