"""Calls the hooks of a PEP 517 build backend; runs inside the sandbox.

Usage: build.py SOURCE OUT BACKEND BACKEND_PATH... -- PROVIDED...

Each hook runs in a forked child of one process that has imported the backend and nothing of the package, so that starting
an interpreter and importing the backend are paid once and no hook sees another's state; where nothing can be forked, in an
interpreter of its own. A backend that the package itself
brings (BACKEND_PATH), or one that starts threads when it is imported, is imported by each child. Writes OUT/result.json:
  {"requires": [...]}   what get_requires_for_build_wheel asks for beyond PROVIDED; nothing was built
  {"wheel": NAME}       the file that build_wheel wrote into OUT
"""
import json
import os
import re
import sys


def load_backend(spec, path):
    if path:
        sys.path[:0] = path
    module_name, _, attributes = spec.partition(":")
    __import__(module_name)
    backend = sys.modules[module_name]
    if path:
        origin = os.path.realpath(getattr(backend, "__file__", None) or "")
        if not any(origin.startswith(os.path.realpath(entry) + os.sep) for entry in path):
            raise ImportError("the backend %s was not loaded from backend-path" % module_name)
    for attribute in filter(None, attributes.split(".")):
        backend = getattr(backend, attribute)
    return backend


def reported(action):
    """Calls action; when it does not come back with a value, says so as an interpreter would: (exit status, value)."""
    try:
        return 0, action()
    except SystemExit as stop:
        if stop.code is not None and not isinstance(stop.code, int):
            sys.stderr.write("%s\n" % (stop.code,))
        status = stop.code if isinstance(stop.code, int) else 1
        if not status:
            sys.stderr.write("the build backend exited with status 0 without a result\n")
        return status or 1, None
    except BaseException:
        import traceback
        traceback.print_exc()
        return 1, None


def in_child(action, result_path):
    """Runs action in a fork; its value comes back as JSON. Exits with the child's status when that is not 0."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status, value = reported(action)
            if not status:
                with open(result_path, "w") as stream:
                    json.dump(value, stream)
        except BaseException:
            import traceback
            traceback.print_exc()
            status = 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        import signal
        number = os.WTERMSIG(status)
        signal.signal(number, signal.SIG_DFL) if number not in (9, 19) else None
        os.kill(os.getpid(), number)
    if os.WEXITSTATUS(status):
        sys.exit(os.WEXITSTATUS(status))
    with open(result_path) as stream:
        return json.load(stream)


def of_an_extra(requirement):
    """Whether its marker holds for an extra only, as PEP 508 spells one: of those, a build has none."""
    marker = requirement.partition(";")[2]
    return re.search(r"(^|\band\b|\()\s*extra\s*==", marker) and not re.search(r"\bor\b", marker)


def in_interpreter(name, given, result_path):
    """Runs the action of this name in another interpreter; else as in_child."""
    import subprocess
    sys.stdout.flush()
    sys.stderr.flush()
    status = subprocess.call([sys.executable, os.path.abspath(__file__), "--hook", name] + given)
    if status:
        sys.exit(status)
    with open(result_path) as stream:
        return json.load(stream)


def threads():
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def main():
    hook = sys.argv[2] if sys.argv[1] == "--hook" else None
    if hook:
        del sys.argv[1:3]
    forks = hasattr(os, "fork")
    each_alone = sys.argv[1] == "--each-alone"
    given = sys.argv[1:]
    source, out, spec = sys.argv[1 + each_alone:4 + each_alone]
    rest = sys.argv[4 + each_alone:]
    split = rest.index("--")
    path, provided = [os.path.join(source, entry) for entry in rest[:split]], set(rest[split + 1:])
    os.chdir(source)
    sys.argv = ["build"]
    # The directory of this driver is not the package's business.
    sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]
    state = os.path.join(out, "hook.json")
    if forks and not path and not each_alone:
        status, _ = reported(lambda: load_backend(spec, path))
        if status:
            sys.exit(status)
        if threads() > 1:
            # A fork has only the thread that forked: locks that the others hold would stay held.
            os.execv(sys.executable, [sys.executable, os.path.abspath(__file__), "--each-alone"] + given)

    def get_requires():
        backend = load_backend(spec, path)
        hook = getattr(backend, "get_requires_for_build_wheel", None)
        return [str(entry) for entry in hook({})] if hook else []

    def build_wheel():
        return load_backend(spec, path).build_wheel(out, {}, None)

    actions = {"get_requires": get_requires, "build_wheel": build_wheel}

    def call(name):
        return in_child(actions[name], state) if forks else in_interpreter(name, given, state)

    if hook:
        status, value = reported(actions[hook])
        if not status:
            with open(state, "w") as stream:
                json.dump(value, stream)
        sys.exit(status)
    asked = call("get_requires")
    missing = [entry for entry in asked if entry not in provided and not of_an_extra(entry)]
    result = {"requires": missing} if missing else {"wheel": call("build_wheel")}
    with open(os.path.join(out, "result.json"), "w") as stream:
        json.dump(result, stream)


main()
