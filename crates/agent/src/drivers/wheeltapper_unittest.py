"""Runs unittest exactly as `python -m unittest` does, and writes what happens to each test as it happens.

The events are those of the pytest plugin beside it.
"""
import json
import os
import time
import unittest

REPORT = "/cell/report/tests.jsonl"


class Report(object):
    """Each line has the key that this process was given, and a number: a line that tests wrote or removed is seen."""

    def __init__(self):
        # Only the process that the plan starts has the key; what the tests start in their turn does not report.
        self.key = os.environ.pop("WHEELTAPPER_REPORT", None)
        # Tests may replace what a module calls `os` or `open`; what is held here stays.
        self.open, self.getpid, self.dumps = open, os.getpid, json.dumps
        self.process, self.number = os.getpid(), 0

    def write(self, **event):
        if self.getpid() != self.process:
            # A test forked, and its child came back from the test.
            return
        event.update(key=self.key, writer="unittest %d" % self.process, number=self.number)
        self.number += 1
        try:
            line = self.dumps(event)
        except UnicodeDecodeError:
            # Texts of Python 2 are bytes.
            line = self.dumps(event, encoding="latin-1")
        with self.open(REPORT, "a") as stream:
            stream.write(line + "\n")


REPORTED = Report()


def text_of(error):
    try:
        return str(error)
    except Exception:
        # Its own code fails, or it is Python 2 and the text is not ASCII.
        return repr(error)


def raised_in(error, text):
    """The file of the innermost frame that is not the standard library's."""
    paths, trace = [], error[2]
    while trace is not None:
        paths.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    # The loader's stand-in for a module that cannot be imported has only a text.
    paths += [line.split('"')[1] for line in text.split("\n") if line.startswith('  File "')]
    own = [path for path in paths if "site-packages" in path or "/lib/python" not in path]
    return own[-1][-500:] if own else None


class Result(unittest.TextTestResult):
    stream_of_events = None
    subtest_failed = False

    def write(self, test, outcome, error=None):
        message, file = "", None
        if error is not None:
            text = text_of(error[1])
            file = raised_in(error, text)
            message = ("%s: %s" % (error[0].__name__, text)).split("\n")[0][:500]
            if type(test).__name__ in ("_FailedTest", "ModuleImportFailure", "DocTestCase", "DocFileCase"):
                # The loader's stand-in for a module that cannot be imported, or a doctest: the text ends with the real error.
                message = text.strip().split("\n")[-1][:500] or message
        REPORTED.write(event="test", id=test.id(), outcome=outcome, seconds=time.time() - self.began, message=message,
                       raised_in=file)

    began = time.time()

    def startTest(self, test):
        self.began, self.subtest_failed = time.time(), False
        super(Result, self).startTest(test)

    def addSuccess(self, test):
        if not self.subtest_failed:
            self.write(test, "passed")
        super(Result, self).addSuccess(test)

    def addFailure(self, test, err):
        self.write(test, "failed", err)
        super(Result, self).addFailure(test, err)

    def addError(self, test, err):
        self.write(test, "error", err)
        super(Result, self).addError(test, err)

    def addSkip(self, test, reason):
        self.write(test, "skipped")
        super(Result, self).addSkip(test, reason)

    def addExpectedFailure(self, test, err):
        self.write(test, "xfailed")
        super(Result, self).addExpectedFailure(test, err)

    def addUnexpectedSuccess(self, test):
        self.write(test, "xpassed")
        super(Result, self).addUnexpectedSuccess(test)

    def addSubTest(self, test, subtest, err):
        if err is None:
            self.write(subtest, "subtest-passed")
        else:
            if not self.subtest_failed:
                self.subtest_failed = True
                failed = issubclass(err[0], test.failureException)
                self.write(test, "failed" if failed else "error", err)
            self.write(subtest, "subtest-failed", err)
        super(Result, self).addSubTest(test, subtest, err)


class Runner(unittest.TextTestRunner):
    resultclass = Result

    def run(self, test):
        REPORTED.write(event="collected", count=test.countTestCases())
        result = super(Runner, self).run(test)
        REPORTED.write(event="finish", exit=0 if result.wasSuccessful() else 1, stopped=bool(result.shouldStop))
        return result


if __name__ == "__main__":
    import sys
    sys.argv[0] = "python -m unittest"
    program = unittest.main
    # A test module that starts its own run as it is imported is there to be loaded; that run would read our arguments.
    unittest.main = lambda *args, **kwargs: None
    program(module=None, testRunner=Runner)
