"""A pytest plugin that writes what happens to each test as it happens, so that a crash keeps what ran before it.

Works from pytest 3 on, under xdist (the controller writes), with reruns and subtests. One JSON object a line:
{"event": "collected", "count": n} | {"event": "finish", "exit", "stopped"} |
{"event": "test", "id", "outcome", "seconds", "message", "raised_in"}
outcome is passed, failed, error, skipped, xfailed, xpassed, rerun, subtest-passed or subtest-failed.
Each line has the key that this process was given, and a number: a line that tests wrote or removed is seen.
"""
import json
import os
import sys

import pytest

REPORT = "/cell/report/tests.jsonl"
# Only the process that the plan starts has the key; what the tests start in their turn does not report.
KEY = os.environ.pop("WHEELTAPPER_REPORT", None)


class Reporter(object):
    def __init__(self):
        # Tests may replace what a module calls `os` or `open`; what is held here stays.
        self.open, self.getpid = open, os.getpid
        self.process, self.number = os.getpid(), 0
        self.stream = open(REPORT, "a")
        self.collected = self.stopped = False

    def write(self, **event):
        if self.getpid() != self.process:
            # A test forked, and its child came back from the test.
            return
        event.update(key=KEY, writer="pytest %d" % self.process, number=self.number)
        self.number += 1
        try:
            line = json.dumps(event) + "\n"
        except UnicodeDecodeError:
            # Texts of Python 2 are bytes.
            line = json.dumps(event, encoding="latin-1") + "\n"
        try:
            self.stream.write(line)
            self.stream.flush()
        except (IOError, OSError, ValueError):
            # A test closed what it had not opened.
            self.stream = self.open(REPORT, "a")
            self.stream.write(line)
            self.stream.flush()

    def collect(self, count):
        if not self.collected:
            self.collected = True
            self.write(event="collected", count=count)

    def pytest_collectreport(self, report):
        if report.outcome == "failed":
            self.write(event="test", id=report.nodeid or "collection", outcome="error", seconds=None, message=message(report),
                       raised_in=raised_in(report))
        elif report.outcome == "skipped" and "::" not in report.nodeid:
            self.write(event="test", id=report.nodeid, outcome="skipped", seconds=None, message="")

    def pytest_collection_finish(self, session):
        self.collect(len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node, ids):
        self.collect(len(ids))

    def pytest_deselected(self, items):
        self.write(event="deselected", count=len(items))

    def pytest_runtest_logreport(self, report):
        outcome = self.outcome(report)
        if outcome:
            failed = outcome in ("failed", "error", "subtest-failed")
            self.write(event="test", id=report.nodeid, outcome=outcome, seconds=getattr(report, "duration", None),
                       message=message(report) if failed else "", raised_in=raised_in(report) if failed else None)

    @staticmethod
    def outcome(report):
        subtest = type(report).__name__ == "SubTestReport" or type(report).__name__ == "SubtestReport"
        expected = hasattr(report, "wasxfail")
        if report.outcome == "rerun":
            return "rerun"
        if report.when == "call":
            if subtest:
                return {"passed": "subtest-passed", "failed": "subtest-failed"}.get(report.outcome)
            if expected:
                return "xfailed" if report.outcome == "skipped" else "xpassed"
            return report.outcome
        if report.outcome == "failed":
            return "error"
        if report.when == "setup" and report.outcome == "skipped":
            return "xfailed" if expected else "skipped"
        return None

    def pytest_keyboard_interrupt(self, excinfo):
        # Also what `pytest.exit` raises, whatever exit status it asks for.
        self.stopped = True

    def pytest_sessionfinish(self, session, exitstatus):
        stopped = self.stopped or bool(getattr(session, "shouldstop", False))
        self.write(event="finish", exit=int(exitstatus), stopped=stopped)


def message(report):
    crash = getattr(getattr(report, "longrepr", None), "reprcrash", None)
    text = getattr(crash, "message", None)
    # Of an exception that was raised from another one, what came first says more.
    chain = getattr(getattr(report, "longrepr", None), "chain", None) or []
    first = getattr(chain[0][1], "message", None) if len(chain) > 1 else None
    if text and first:
        return "%s <- %s" % (one_line(text)[:250], one_line(first)[:240])
    if not text:
        try:
            told = str(report.longrepr or "")
        except UnicodeError:
            told = repr(report.longrepr)
        lines = [line for line in told.splitlines() if line.strip()]
        marked = [line[1:].strip() for line in lines if line.startswith("E ")]
        text = of_doctest(lines) or (marked[-1] if marked else (lines[-1] if lines else ""))
    return one_line(text)[:500]


def raised_in(report):
    """The file of the innermost frame that is not the standard library's."""
    trace = getattr(getattr(report, "longrepr", None), "reprtraceback", None)
    if trace is not None:
        places = [getattr(entry, "reprfileloc", None) for entry in trace.reprentries]
        paths = [place.path for place in places if place is not None]
    else:
        lines = str(getattr(report, "longrepr", None) or "").splitlines()
        paths = [line.split(".py:")[0] + ".py" for line in lines if ".py:" in line and ": in " in line]
    own = [path for path in map(str, paths) if "site-packages" in path or "/lib/python" not in path]
    return own[-1][-500:] if own else None


def of_doctest(lines):
    """What an example of a doctest raised, or gave instead of what it shows."""
    for at, line in enumerate(lines):
        if line.startswith("UNEXPECTED EXCEPTION: "):
            return line
        if line == "Got:" and at + 1 < len(lines):
            # The last line tells where the example stands.
            got = lines[at + 1:-1] or lines[at + 1:]
            return "DocTestFailure: got %s" % got[-1].strip()
    return None


def one_line(text):
    """The first line; where an exception's own begins empty, the next that says something."""
    lines = text.strip().split("\n")
    if lines[0].rstrip().endswith(":"):
        told = [line.strip() for line in lines[1:] if any(each.isalnum() for each in line)]
        return " ".join([lines[0].rstrip()] + told[:1])
    return lines[0]


if os.environ.get("PYTEST_PLUGINS") == "wheeltapper_pytest":
    # Set for a script that calls pytest; what its tests start is none of ours.
    del os.environ["PYTEST_PLUGINS"]


def pytest_collection_finish():
    # absl's flags are parsed by absltest.main, which pytest does not go through.
    flags = sys.modules.get("absl.flags")
    if flags is not None and not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    # What the command names is collected all the same: a test that is named beside a folder does not run alone.
    alone = os.environ.get("WHEELTAPPER_ALONE")
    if alone:
        wanted = set(alone.split("\n"))
        others = [item for item in items if item.nodeid not in wanted]
        items[:] = [item for item in items if item.nodeid in wanted]
        config.hook.pytest_deselected(items=others)


def pytest_configure(config):
    # Workers of xdist send their reports to the controller.
    if KEY and not hasattr(config, "workerinput") and not hasattr(config, "slaveinput"):
        config.pluginmanager.register(Reporter(), "wheeltapper-reporter")
