// Behaves as `python` does, by CPython on WebAssembly: the same command line, environment, working directory and exit status.
// Its first line, which names node, is written when the platform is built. The package lies in the folder beside this one's.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");

const PACKAGE = path.join(path.dirname(fs.realpathSync(__filename)), "..", "package");

// What it has of its own in memory, its standard library among it, and what its system does not know.
const OWN = new Set(["dev", "lib", "proc", "sys"]);

// The source lines that node shows with an error are of a megabyte.
const MOST_SAID = 4000;

function mount(FS) {
  for (const folder of fs.readdirSync("/", { withFileTypes: true })) {
    if (folder.isDirectory() && !OWN.has(folder.name)) {
      FS.mkdirTree(`/${folder.name}`);
      FS.mount(FS.filesystems.NODEFS, { root: `/${folder.name}` }, `/${folder.name}`);
    }
  }
}

async function main() {
  const { loadPyodide } = await import(pathToFileURL(path.join(PACKAGE, "pyodide.mjs")));
  const python = await loadPyodide({
    indexURL: `${PACKAGE}/`,
    args: process.argv.slice(2),
    // It would go on after the end, for whoever calls it from JavaScript.
    env: { ...process.env, PYTHONINSPECT: process.env.PYTHONINSPECT ?? "" },
    _sysExecutable: process.argv[1],
    fsInit: async (FS) => mount(FS),
  });
  python.FS.chdir(process.cwd());
  try {
    return python._module._run_main();
  } catch (error) {
    if (error?.name === "ExitStatus") {
      return error.status;
    }
    throw error;
  }
}

main().then(
  (status) => process.exit(status),
  (error) => {
    process.stderr.write(`${String(error?.stack ?? error).slice(0, MOST_SAID)}\n`, () => process.abort());
  },
);
