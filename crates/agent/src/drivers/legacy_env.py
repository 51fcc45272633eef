"""Makes the folder ENV a virtual environment of the Python that runs it, one from before PEP 405; runs inside the sandbox.

Usage: legacy_env.py ENV      (isolated and with -S)

A copy of the interpreter takes the tree around itself for its own installation when it finds its library there: each of the
library's files is a link to the real one, what was installed beside it aside. As virtualenv made them.
"""
import os
import shutil
import sys

OURS = ("site-packages", "dist-packages", "sitecustomize.py", "sitecustomize.pyc")


def mirror(source, folder):
    if not os.path.isdir(folder):
        os.makedirs(folder)
    for name in os.listdir(source) if os.path.isdir(source) else ():
        if name not in OURS:
            os.symlink(os.path.join(source, name), os.path.join(folder, name))


def main():
    env = sys.argv[1]
    version = "python%d.%d" % sys.version_info[:2]
    shutil.copy(os.path.realpath(sys.executable), os.path.join(env, "bin", "python"))
    library = os.path.join(env, "lib", version)
    mirror(os.path.join(sys.prefix, "lib", version), library)
    mirror(os.path.join(sys.prefix, "include", version), os.path.join(env, "include", version))
    if os.path.isdir(os.path.join(sys.prefix, "lib", version, "dist-packages")):
        # Debian's Pythons of before look there for what is installed.
        os.symlink("site-packages", os.path.join(library, "dist-packages"))
    # By these two, installers and distutils of the time know a virtual environment.
    with open(os.path.join(library, "sitecustomize.py"), "w") as stream:
        stream.write("import sys\nsys.real_prefix = %r\n" % sys.prefix)
    open(os.path.join(library, "no-global-site-packages.txt"), "w").close()


main()
