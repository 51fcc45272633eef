"""Compiles and imports a module of C with the compiler and headers of the system it runs on. Any Python from 2.7 on."""
import os
import subprocess
import sys
import sysconfig

SOURCE = """
#include <Python.h>
static PyObject *tap(PyObject *self, PyObject *unused) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"tap", tap, METH_NOARGS, ""}, {0}};
#if PY_MAJOR_VERSION >= 3
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "tapped", "", -1, methods};
PyMODINIT_FUNC PyInit_tapped(void) { return PyModule_Create(&module); }
#else
PyMODINIT_FUNC inittapped(void) { Py_InitModule("tapped", methods); }
#endif
"""

with open("tapped.c", "w") as file:
    file.write(SOURCE)
paths = sysconfig.get_paths()
suffix = sysconfig.get_config_var("EXT_SUFFIX") or sysconfig.get_config_var("SO") or ".so"
command = ["cc", "-shared", "-fPIC", "-o", "tapped" + suffix, "tapped.c"]
# Debian's Python 2 has its headers elsewhere than it says in its paths.
folders = [paths.get("include"), paths.get("platinclude"), sysconfig.get_config_var("INCLUDEPY")]
command += ["-I" + folder for folder in folders if folder]
try:
    status = subprocess.call(command)
except OSError as error:
    sys.exit("no C compiler: %s" % error)
if status:
    sys.exit("cc does not compile it; are %s there?" % os.path.join(paths["include"], "Python.h"))
sys.path.insert(0, os.getcwd())
import tapped

if tapped.tap() != 42:
    sys.exit("the module says something else")
