"""Imports modules and resolves entry points, each in a fresh interpreter; runs inside the sandbox.

Usage: imports.py RESULTS PYTHON KIND:NAME...      (isolated and with -S: no .pth file of the environment is read for it)

PYTHON is the interpreter that imports, where it is not the one that runs this: one that cannot start programs, and has files of
its own number; `-` where it is.

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

# Windows knows neither forks nor signals, and its open files by other numbers.
WINDOWS = os.name == "nt"
IMPORT = "import importlib, os, sys; importlib.import_module(sys.argv[1]); "
RESOLVE = (
    "import functools, importlib, os, sys\n"
    "module, _, attribute = sys.argv[1].partition(':')\n"
    "functools.reduce(getattr, [part for part in attribute.split('.') if part], importlib.import_module(module))\n"
)
DONE = "os.write(%s, b'done')" % (
    "__import__('msvcrt').open_osfhandle(int(sys.argv[2]), os.O_APPEND)" if WINDOWS else "int(sys.argv[2])"
)
DONE_BY_NAME = "open(sys.argv[2], 'ab').write(b'done')"
# How long a program may take to show its help, in seconds; one of an interpreter that another program runs.
PATIENCE = 10
LONG_PATIENCE = 60


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


def on_windows(arguments, handles=(), patience=None):
    """Runs a program that inherits these handles: its exit status, 137 when it took longer than `patience`."""
    import subprocess
    try:
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=1,
            stderr=2,
            startupinfo=subprocess.STARTUPINFO(lpAttributeList={"handle_list": list(handles)}),
        )
    except OSError as error:
        os.write(2, ("%s: %s\n" % (arguments[0], error)).encode("utf-8", "replace"))
        return 127
    try:
        status = child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        return 137
    # What ended by an exception has the exception's number, which others know as a negative one.
    return status - (1 << 32) if status >> 31 else status


def interpreted(python, code, name, proof, named):
    """Runs code that writes to the open file `proof` when it is done: to a file, since what the code left running may hold
    the other end of a pipe. An interpreter of another kind finds it by its name."""
    os.ftruncate(proof, 0)
    if WINDOWS:
        import msvcrt
        handle = msvcrt.get_osfhandle(proof)
        os.set_handle_inheritable(handle, True)
        status = on_windows([python, "-c", code + DONE, name, str(handle)], [handle])
    elif python == sys.executable:
        status = ended(start([python, "-c", code + DONE, name, str(proof)]))
    else:
        status = ended(start([python, "-c", code + DONE_BY_NAME, name, named]))
    return status, os.fstat(proof).st_size == 4


def started(python, name):
    program = os.path.join(os.path.dirname(python), name)
    if WINDOWS:
        status = on_windows([program + ".exe", "--help"], patience=PATIENCE)
        return status, status == 0
    child = start([program, "--help"], session=True)
    _signal.signal(_signal.SIGALRM, lambda number, frame: os.killpg(child, 9))
    _signal.alarm(PATIENCE if python == sys.executable else LONG_PATIENCE)
    status = ended(child)
    _signal.alarm(0)
    return status, status == 0


def main():
    results, python, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    own = python == "-"
    if own:
        python = sys.executable
    # Nobody else finds the file by a name: it has none any more, or loses it when it is closed.
    temporary = getattr(os, "O_TEMPORARY", 0)
    proof = os.open(results + ".done", os.O_WRONLY | os.O_CREAT | os.O_APPEND | temporary)
    if own and not temporary:
        os.unlink(results + ".done")
    if hasattr(os, "set_inheritable"):
        os.set_inheritable(proof, True)
    for index, kind_and_name in enumerate(names):
        kind, _, name = kind_and_name.partition(":")
        print("==> %s %s" % ({"module": "import", "entry": "resolve", "script": "start"}[kind], name))
        sys.stdout.flush()
        if kind == "script":
            status, done = started(python, name)
        else:
            code = IMPORT if kind == "module" else RESOLVE
            status, done = interpreted(python, code, name, proof, results + ".done")
        if status == 0 and not done:
            print("the interpreter exited before %s was done" % name)
        sys.stdout.flush()
        with open(results, "a") as stream:
            stream.write("%d %d %d\n" % (index, status, done))


main()
