"""Prints the modules of the standard library that a distribution may leave out. Any Python from 2.7 on."""
for name in ("ssl", "sqlite3", "zlib", "bz2", "ctypes", "unittest", "ensurepip", "venv", "distutils"):
    try:
        __import__(name)
    except ImportError:
        print("missing " + name)
