"""Builds a fixture's wheel: the PEP 517 backend that lies in every fixture's sdist.

The wheel holds what lies in `src`; each `NAME.c` in it is compiled to an extension module with the C compiler, and
tagged for the stable ABI of Python 3.8 where all of them are called `NAME.abi3.c`.
Standard library only, any Python from 3.6.
"""
import base64
import hashlib
import os
import shlex
import subprocess
import sysconfig
import tarfile
import zipfile


def _read(path, default=None):
    if default is not None and not os.path.exists(path):
        return default
    with open(path, "rb") as file:
        return file.read()


def _fields():
    lines = _read("PKG-INFO").decode("utf-8").splitlines()
    return dict(reversed([line.split(": ", 1) for line in lines if ": " in line]))


def _stem():
    fields = _fields()
    return "%s-%s" % (fields["Name"].lower().replace("-", "_").replace(".", "_"), fields["Version"])


def _tag(native):
    if not native:
        return "py3-none-any"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if all(path.endswith(".abi3.c") for path in native):
        return "cp38-abi3-" + platform
    implementation, version = sysconfig.get_config_var("SOABI").split("-")[:2]
    if implementation == "cpython":
        python, abi = "cp" + version.rstrip("dmt"), "cp" + version
    else:
        python, abi = "pp" + version, implementation + "_" + version
    return "%s-%s-%s" % (python, abi, platform)


def _compile(source):
    suffix = ".so" if source.endswith(".abi3.c") else sysconfig.get_config_var("EXT_SUFFIX")
    output = source[:-2] + suffix
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    subprocess.check_call(
        compiler + ["-O1", "-shared", "-fPIC", "-I" + sysconfig.get_path("include"), source, "-o", output]
    )
    return output


def _sources():
    for folder, folders, names in os.walk("src"):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            yield os.path.join(folder, name)


def _info(native):
    tag = _tag(native)
    wheel = "Wheel-Version: 1.0\nGenerator: fixture\nRoot-Is-Purelib: %s\nTag: %s\n" % (str(not native).lower(), tag)
    files = {"METADATA": _read("PKG-INFO"), "WHEEL": wheel.encode("ascii")}
    entry_points = _read(os.path.join("_backend", "entry_points.txt"), b"")
    if entry_points:
        files["entry_points.txt"] = entry_points
    return tag, files


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    info = _stem() + ".dist-info"
    os.makedirs(os.path.join(metadata_directory, info))
    for name, content in _info([path for path in _sources() if path.endswith(".c")])[1].items():
        with open(os.path.join(metadata_directory, info, name), "wb") as file:
            file.write(content)
    return info


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    paths = list(_sources())
    native = [path for path in paths if path.endswith(".c")]
    paths = [path for path in paths if path not in native] + [_compile(path) for path in native]
    files = [(os.path.relpath(path, "src").replace(os.sep, "/"), _read(path)) for path in paths]
    stem = _stem()
    tag, info = _info(native)
    files += [("%s.dist-info/%s" % (stem, name), content) for name, content in info.items()]
    record = ""
    for path, content in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
        record += "%s,sha256=%s,%d\n" % (path, digest, len(content))
    record_path = stem + ".dist-info/RECORD"
    files.append((record_path, (record + record_path + ",,\n").encode("utf-8")))
    filename = "%s-%s.whl" % (stem, tag)
    with zipfile.ZipFile(os.path.join(wheel_directory, filename), "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files:
            wheel.writestr(path, content)
    return filename


def build_sdist(sdist_directory, config_settings=None):
    stem = _stem()
    filename = stem + ".tar.gz"
    with tarfile.open(os.path.join(sdist_directory, filename), "w:gz", format=tarfile.PAX_FORMAT) as sdist:
        for name in sorted(os.listdir(".")):
            sdist.add(name, arcname=stem + "/" + name)
    return filename
