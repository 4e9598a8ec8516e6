/** What every suite needs: bundled tests, a small model, a fresh workspace. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
// Among the installed packages, so that neither git nor a formatter looks at it.
export const cache = join(here, 'node_modules', '.cache');
export const fakePython = join(here, 'fixtures', 'fake-python.mjs');
/** What the suites learn of the interpreter that stands in for Python: its path, and on Windows what makes Node one. */
export const fakePythonEnvironment =
  process.platform === 'win32'
    ? { ESPALIER_FAKE_PYTHON: process.execPath, NODE_OPTIONS: `--import=${pathToFileURL(fakePython).href}` }
    : { ESPALIER_FAKE_PYTHON: fakePython };

/** Bundles the suites and writes the model of the fixtures. */
export async function prepare() {
  mkdirSync(cache, { recursive: true });
  await build({
    entryPoints: ['suite/trusted.ts', 'suite/untrusted.ts', 'suite/methods.ts', 'suite/workerless.ts', 'fixtures/write-model.ts'].map(
      (path) => join(here, path),
    ),
    outdir: cache,
    outbase: here,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['vscode', 'onnxruntime-node'],
    alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
    logLevel: 'warning',
  });
  execFileSync(process.execPath, [join(cache, 'fixtures', 'write-model.cjs'), join(cache, 'small.onnx')]);
  chmodSync(fakePython, 0o755);
}

/** A fresh copy of the fixture workspace. */
export function freshWorkspace() {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-workspace-'));
  cpSync(join(here, 'fixtures', 'workspace'), folder, { recursive: true });
  copyFileSync(join(cache, 'small.onnx'), join(folder, 'small.onnx'));
  return folder;
}
