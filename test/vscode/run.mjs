/**
 * The extension in real VS Code. Usage: node test/vscode/run.mjs [--only TEXT] [--suite trusted|untrusted]
 * Expects dist/ to be built. Prints each test; the exit code is 1 where any failed.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { ensureInstalled } from './install.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const cache = join(here, '.cache');
const SUITE_TIMEOUT = 600_000;

const { values: options } = parseArgs({ options: { only: { type: 'string' }, suite: { type: 'string' } } });

/** Bundles the suites and writes the model of the fixtures. */
export async function prepare() {
  mkdirSync(cache, { recursive: true });
  await build({
    entryPoints: [join(here, 'suite', 'trusted.ts'), join(here, 'suite', 'untrusted.ts'), join(here, 'fixtures', 'write-model.ts')],
    outdir: cache,
    outbase: here,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    external: ['vscode', 'onnxruntime-node'],
    alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
    logLevel: 'warning',
  });
  execFileSync(process.execPath, [join(cache, 'fixtures', 'write-model.cjs'), join(cache, 'small.onnx')]);
}

/** A fresh copy of the fixture workspace. */
export function freshWorkspace() {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-workspace-'));
  cpSync(join(here, 'fixtures', 'workspace'), folder, { recursive: true });
  copyFileSync(join(cache, 'small.onnx'), join(folder, 'small.onnx'));
  return folder;
}

/** What VS Code itself prints and what no test is about. */
const NOISE = /bindings file|Service Worker|Cannot find module|open-vsx|Canceled|socket|connection token|builtin extensions cache|^\s*$|^\[|%c/;

async function runSuite(suite, settings) {
  const { startServer } = await import('./server.mjs');
  const { openWindow } = await import('./window.mjs');
  const folder = freshWorkspace();
  const results = join(folder, '..', `espalier-results-${process.pid}-${suite}.json`);
  const python = join(here, 'fixtures', 'fake-python.mjs');
  chmodSync(python, 0o755);
  const started = Date.now();
  const server = await startServer({
    settings,
    env: {
      ESPALIER_TEST_RESULTS: results,
      ESPALIER_FAKE_PYTHON: python,
      ...(options.only ? { ESPALIER_TEST_ONLY: options.only } : {}),
    },
  });
  let failed = true;
  try {
    const { browser, page, exitCode } = await openWindow(server, {
      folder,
      development: root,
      tests: join(cache, 'suite', `${suite}.cjs`),
      onLog: (type, text) => {
        if (process.env.ESPALIER_TEST_VERBOSE && !NOISE.test(text)) console.log(`  ${type}: ${text.slice(0, 1000)}`);
      },
    });
    const code = await Promise.race([exitCode, new Promise((resolve) => setTimeout(() => resolve('no exit code in time'), SUITE_TIMEOUT).unref())]);
    failed = code !== 0;
    if (failed) await page.screenshot({ path: join(cache, `${suite}-failed.png`) }).catch(() => {});
    await browser.close();
    if (failed) console.log(`${suite}: ${code}`);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
  if (!existsSync(results)) {
    console.log(`${suite}: no results; a picture of the window is in ${join(cache, `${suite}-failed.png`)}`);
    return false;
  }
  const report = JSON.parse(readFileSync(results, 'utf8'));
  rmSync(results);
  console.log(`\n${suite}: VS Code ${report.vscode}, Node ${report.node}, ${((Date.now() - started) / 1000).toFixed(0)} s`);
  for (const { ok, name, milliseconds, note, error } of report.results) {
    console.log(` ${ok ? '✓' : '✗'} ${name} (${milliseconds} ms)${note ? `: ${note}` : ''}`);
    if (error) console.log(error.replace(/^/gm, '     '));
  }
  return !failed && report.results.every(({ ok }) => ok);
}

const SUITES = {
  trusted: {},
  untrusted: { 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'never', 'security.workspace.trust.banner': 'never' },
};

ensureInstalled();
await prepare();
let ok = true;
for (const [suite, settings] of Object.entries(SUITES)) if (!options.suite || options.suite === suite) ok = (await runSuite(suite, settings)) && ok;
process.exit(ok ? 0 : 1);
