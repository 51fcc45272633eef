"""Imports modules and resolves entry points, each in a fresh interpreter; runs inside the sandbox.

Usage: imports.py RESULTS KIND:NAME...      (isolated and with -S: no .pth file of the environment is read for it)

KIND is `module` (NAME is imported), `entry` (NAME is module:attribute, resolved) or `script` (NAME is a program of the
environment, started with --help for at most 10 s). Appends one line for each to RESULTS, `INDEX STATUS DONE`: INDEX counts
the arguments from 0; STATUS is the exit status, 128+n for signal n; DONE is 1 when the code went through to its end, which
an exit status of 0 does not prove. Imports nothing that an interpreter has not loaded when it starts: this process is overhead.
Runs on Python 2.7 as well.
"""
import os
import sys

try:
    import _signal
except ImportError:
    import signal as _signal

IMPORT = "import importlib, os, sys; importlib.import_module(sys.argv[1]); os.write(int(sys.argv[2]), b'done')"
RESOLVE = (
    "import functools, importlib, os, sys\n"
    "module, _, attribute = sys.argv[1].partition(':')\n"
    "functools.reduce(getattr, [part for part in attribute.split('.') if part], importlib.import_module(module))\n"
    "os.write(int(sys.argv[2]), b'done')\n"
)


def start(arguments, session=False):
    """Starts a program with the dispositions of signals that a shell would give it."""
    child = os.fork()
    if child == 0:
        try:
            for name in ("SIGPIPE", "SIGXFSZ"):
                _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
            if session:
                os.setsid()
            os.execv(arguments[0], arguments)
        except OSError as error:
            os.write(2, ("%s: %s\n" % (arguments[0], error)).encode("utf-8", "replace"))
        finally:
            os._exit(127)
    return child


def ended(child):
    """Waits for the end of a child: its exit status, or 128 and the signal's number."""
    _, status = os.waitpid(child, 0)
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def interpreted(code, name, proof):
    """Runs code that writes to the open file `proof` when it is done: to a file, since what the code left running may hold
    the other end of a pipe."""
    os.ftruncate(proof, 0)
    status = ended(start([sys.executable, "-c", code, name, str(proof)]))
    return status, os.fstat(proof).st_size == 4


def started(name):
    program = os.path.join(os.path.dirname(sys.executable), name)
    child = start([program, "--help"], session=True)
    _signal.signal(_signal.SIGALRM, lambda number, frame: os.killpg(child, 9))
    _signal.alarm(10)
    status = ended(child)
    _signal.alarm(0)
    return status, status == 0


def main():
    results, names = sys.argv[1], sys.argv[2:]
    proof = os.open(results + ".done", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.unlink(results + ".done")
    if hasattr(os, "set_inheritable"):
        os.set_inheritable(proof, True)
    for index, kind_and_name in enumerate(names):
        kind, _, name = kind_and_name.partition(":")
        print("==> %s %s" % ({"module": "import", "entry": "resolve", "script": "start"}[kind], name))
        sys.stdout.flush()
        if kind == "script":
            status, done = started(name)
        else:
            status, done = interpreted(IMPORT if kind == "module" else RESOLVE, name, proof)
        if status == 0 and not done:
            print("the interpreter exited before %s was done" % name)
        sys.stdout.flush()
        with open(results, "a") as stream:
            stream.write("%d %d %d\n" % (index, status, done))


main()
