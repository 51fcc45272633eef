"""Runs a script or a module as `python` does, and writes what happens to each test that any unittest result hears of.

Usage: python -m wheeltapper_script SCRIPT ARGUMENTS...      or      -m MODULE ARGUMENTS...      or      -c CODE ARGUMENTS...

For Django's test command, trial, zope.testrunner, nose and scripts of a package's own: all of them report to subclasses of
unittest.TestResult, whose methods are wrapped wherever a class defines them. A test is written once however many classes hear
of it; results that tests make inside a test are theirs; other processes are silent. Doctests that run outside of unittest count
one a docstring, and a script that calls pytest gets the plugin beside this file. The events are those of that plugin.
"""
import doctest
import json
import os
import runpy
import sys
import time
import unittest

REPORT = "/cell/report/tests.jsonl"
OUTCOMES = {
    "addSuccess": "passed",
    "addFailure": "failed",
    "addError": "error",
    "addSkip": "skipped",
    "addExpectedFailure": "xfailed",
    "addUnexpectedSuccess": "xpassed",
}


class Recorder(object):
    def __init__(self):
        # Left for the plugin, when the script calls pytest.
        self.key = os.environ.get("WHEELTAPPER_REPORT")
        self.open, self.getpid, self.dumps = open, os.getpid, json.dumps
        self.process, self.number = os.getpid(), 0
        self.active = None
        self.told = {}
        self.begun = False
        self.began = time.time()

    def write(self, **event):
        if self.getpid() != self.process:
            return
        event.update(key=self.key, writer="script %d" % self.process, number=self.number)
        self.number += 1
        try:
            line = self.dumps(event)
        except UnicodeDecodeError:
            # Texts of Python 2 are bytes.
            line = self.dumps(event, encoding="latin-1")
        with self.open(REPORT, "a") as stream:
            stream.write(line + "\n")

    def begin(self):
        if not self.begun:
            self.begun = True
            self.write(event="collected", count=1)

    def start(self, result, test):
        if self.active is None:
            self.active = (result, test)
            self.told = {}
            self.began = time.time()
            self.begin()

    def stop(self, result):
        if self.active is not None and self.active[0] is result:
            self.active = None

    def is_inner(self, result):
        return self.active is not None and self.active[0] is not result

    def hear(self, result, test, outcome, error=None):
        if self.is_inner(result):
            return
        if outcome == "error" and isinstance(error, tuple) and isinstance(error[0], type):
            if issubclass(error[0], unittest.SkipTest):
                outcome = "skipped"
        if (id(test), outcome) in self.told:
            return
        # The test is kept, so that no other has its id.
        self.told[id(test), outcome] = test
        failed = outcome in ("failed", "error", "subtest-failed")
        self.begin()
        self.write(event="test", id=name(test), outcome=outcome, seconds=time.time() - self.began,
                   message=message(error) if failed else "")

    def subtest(self, result, test, subtest, error):
        if error is None:
            self.hear(result, subtest, "subtest-passed")
            return
        failure = getattr(test, "failureException", AssertionError)
        self.hear(result, test, "failed" if issubclass(error[0], failure) else "error", error)
        self.hear(result, subtest, "subtest-failed", error)


def name(test):
    try:
        return str(test.id())
    except Exception:
        return str(test)


def message(error):
    try:
        if isinstance(error, tuple) and len(error) > 1:
            text = "%s: %s" % (getattr(error[0], "__name__", error[0]), error[1])
        elif hasattr(error, "getErrorMessage"):
            text = "%s: %s" % (error.type.__name__, error.getErrorMessage())
        else:
            text = str(error)
    except Exception:
        text = "an error that cannot be shown"
    lines = text.strip().split("\n")
    # Of a doctest the end says what an example raised or gave.
    return (lines[-1].strip() if "Failed doctest test for" in lines[0] else lines[0])[:500]


RECORDER = Recorder()


def wrapped(method, hear):
    def call(self, *arguments, **options):
        hear(self, *arguments, **options)
        return method(self, *arguments, **options)

    call.__name__ = getattr(method, "__name__", "call")
    call.__doc__ = method.__doc__
    call.wheeltapper = True
    return call


def listener(outcome):
    def hear(result, test, error=None, *arguments, **options):
        RECORDER.hear(result, test, outcome, error)

    return hear


def wrap(result_class):
    """Wraps what this very class defines."""
    def start(result, test, *arguments, **options):
        RECORDER.start(result, test)

    def stop(result, *arguments, **options):
        RECORDER.stop(result)

    def subtest(result, test, subtest, error, *arguments, **options):
        RECORDER.subtest(result, test, subtest, error)

    listeners = {name: listener(outcome) for name, outcome in OUTCOMES.items()}
    listeners.update(startTest=start, stopTest=stop, addSubTest=subtest)
    for name, hear in listeners.items():
        method = result_class.__dict__.get(name)
        if callable(method) and not hasattr(method, "wheeltapper"):
            setattr(result_class, name, wrapped(method, hear))


def wrap_all(result_class):
    wrap(result_class)
    for subclass in result_class.__subclasses__():
        wrap_all(subclass)


def listen():
    wrap_all(unittest.TestResult)

    def later(result_class, **options):
        super(unittest.TestResult, result_class).__init_subclass__(**options)
        wrap(result_class)

    unittest.TestResult.__init_subclass__ = classmethod(later)
    run = doctest.DocTestRunner.run

    def run_docstring(self, test, *arguments, **options):
        outcome = run(self, test, *arguments, **options)
        if RECORDER.active is None and outcome[1]:
            told = "failed" if outcome[0] else "passed"
            text = "%d of %d examples failed" % (outcome[0], outcome[1])
            RECORDER.begin()
            RECORDER.write(event="test", id=test.name, outcome=told, seconds=None, message=text if outcome[0] else "")
        return outcome

    doctest.DocTestRunner.run = run_docstring


def main():
    arguments = sys.argv[1:]
    listen()
    os.environ.setdefault("PYTEST_PLUGINS", "wheeltapper_pytest")
    try:
        if arguments[:2] == ["-m", "doctest"]:
            # Run as a module it would be a second copy, whose classes nobody wraps.
            sys.argv = arguments[1:]
            sys.exit(doctest._test())
        elif arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        elif arguments[0] == "-c":
            sys.argv = ["-c"] + arguments[2:]
            exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = arguments
            sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        RECORDER.write(event="finish", exit=int(end.code) if isinstance(end.code, int) else int(end.code is not None))
        raise
    RECORDER.write(event="finish", exit=0)


if __name__ == "__main__":
    main()
