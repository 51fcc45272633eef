"""Prints the modules of the standard library that a distribution may leave out. Any Python from 2.7 on."""
import sys

NAMES = ["ssl", "sqlite3", "zlib", "bz2", "ctypes", "unittest", "ensurepip"]
if sys.version_info >= (3, 3):
    NAMES.append("venv")
if sys.version_info < (3, 12):
    NAMES.append("distutils")
for name in NAMES:
    try:
        __import__(name)
    except ImportError:
        print("missing " + name)
