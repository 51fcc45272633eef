"""Calls the hooks of a PEP 517 build backend; runs inside the sandbox.

Usage: build.py SOURCE OUT BACKEND BACKEND_PATH... -- PROVIDED...

Each hook runs in a forked child of one process that has imported nothing of the package, so that the cost of starting
an interpreter is paid once and no hook sees another's state. Writes OUT/result.json:
  {"requires": [...]}   what get_requires_for_build_wheel asks for beyond PROVIDED; nothing was built
  {"wheel": NAME}       the file that build_wheel wrote into OUT
"""
import json
import os
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


def in_child(action, result_path):
    """Runs action in a fork; its value comes back as JSON. Exits with the child's status when that is not 0."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            value = action()
            with open(result_path, "w") as stream:
                json.dump(value, stream)
            status = 0
        except SystemExit as stop:
            if stop.code is not None and not isinstance(stop.code, int):
                sys.stderr.write("%s\n" % (stop.code,))
            status = stop.code if isinstance(stop.code, int) else 1
            if not status:
                sys.stderr.write("the build backend exited with status 0 without a result\n")
                status = 1
        except BaseException:
            import traceback
            traceback.print_exc()
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


def main():
    source, out, spec = sys.argv[1:4]
    rest = sys.argv[4:]
    split = rest.index("--")
    path, provided = [os.path.join(source, entry) for entry in rest[:split]], set(rest[split + 1:])
    os.chdir(source)
    sys.argv = ["build"]
    # The directory of this driver is not the package's business.
    sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]
    state = os.path.join(out, "hook.json")

    def get_requires():
        backend = load_backend(spec, path)
        hook = getattr(backend, "get_requires_for_build_wheel", None)
        return [str(entry) for entry in hook({})] if hook else []

    def build_wheel():
        return load_backend(spec, path).build_wheel(out, {}, None)

    missing = [entry for entry in in_child(get_requires, state) if entry not in provided]
    result = {"requires": missing} if missing else {"wheel": in_child(build_wheel, state)}
    with open(os.path.join(out, "result.json"), "w") as stream:
        json.dump(result, stream)


main()
