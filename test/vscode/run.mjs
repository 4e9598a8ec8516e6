/**
 * The extension in real VS Code: in the extension host (suite/), and from outside as a person uses it (person.mjs, palette.mjs, stop.mjs, restart.mjs, walkthrough.mjs).
 * Usage: node test/vscode/run.mjs [--only TEXT] [--suite trusted|methods|untrusted|workerless|person|palette|stop|restart|walkthrough|vsix]
 * Expects dist/ to be built. Prints each test; the exit code is 1 where any failed. The suite `vsix` runs only where it is named: it packs first.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureInstalled } from './install.mjs';
import { cache, fakePython, freshWorkspace, prepare } from './prepare.mjs';
import { removeFolder } from './remove-folder.mjs';
import { printResults } from './results.mjs';
import { SUITES } from './settings.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
/** For all tests of a suite: they have their own limits. */
const SUITE_TIMEOUT = 1_800_000;

const { values: options } = parseArgs({ options: { only: { type: 'string' }, suite: { type: 'string' } } });

/** What VS Code itself prints and what no test is about. */
const NOISE =
  /bindings file|Service Worker|Cannot find module|open-vsx|Canceled|socket|connection token|builtin extensions cache|^\s*$|^\[|%c/;

async function runSuite(suite) {
  const { settings = {}, env = {} } = SUITES[suite];
  const { startServer } = await import('./server.mjs');
  const { openWindow } = await import('./window.mjs');
  const folder = freshWorkspace();
  const results = join(folder, '..', `espalier-results-${process.pid}-${suite}.json`);
  const started = Date.now();
  const server = await startServer({
    settings,
    env: {
      ESPALIER_SUITE_RESULTS: results,
      ESPALIER_FAKE_PYTHON: fakePython,
      ...(options.only ? { ESPALIER_TEST_ONLY: options.only } : {}),
      ...env,
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
    const code = await Promise.race([
      exitCode,
      new Promise((resolve) => setTimeout(() => resolve('no exit code in time'), SUITE_TIMEOUT).unref()),
    ]);
    failed = code !== 0;
    if (failed) await page.screenshot({ path: join(cache, `${suite}-failed.png`) }).catch(() => {});
    await browser.close();
    if (failed) console.log(`${suite}: ${code}`);
  } finally {
    await server.stop();
    await removeFolder(folder);
  }
  const tests = printResults(suite, results, Date.now() - started);
  if (!tests) {
    counts.push({ name: suite, ok: false });
    console.log(`${suite}: no results; a picture of the window is in ${join(cache, `${suite}-failed.png`)}`);
    return false;
  }
  counts.push(...tests);
  return !failed && tests.every(({ ok }) => ok);
}

/** One test from outside the window; `use` returns what it saw. */
async function runFromOutside(name, use) {
  const started = Date.now();
  try {
    for (const note of await use()) console.log(`   ${note}`);
    counts.push({ name, ok: true });
    console.log(` ✓ ${name} (${Date.now() - started} ms)`);
    return true;
  } catch (error) {
    counts.push({ name, ok: false });
    console.log(` ✗ ${name}\n${String(error.stack).replace(/^/gm, '     ')}`);
    return false;
  }
}

/** As a person would: the extension from source, or installed from its package. */
const runPerson = (name, from) => runFromOutside(name, async () => (await import('./person.mjs')).useAsPerson(from));

const runPalette = () =>
  runFromOutside('a model compressed from the palette, with any method', async () =>
    (await import('./palette.mjs')).compressFromPalette({ development: root }),
  );

const runStop = () =>
  runFromOutside('a run paused, resumed and stopped in the panel, and its best so far exported', async () =>
    (await import('./stop.mjs')).pauseAndStop({ development: root }),
  );

const runRestart = () =>
  runFromOutside('a window reloaded, closed and opened anew during a run', async () =>
    (await import('./restart.mjs')).restartWindow({ development: root }),
  );

const runWalkthrough = () =>
  runFromOutside('the walkthrough, to the demo network compressed', async () =>
    (await import('./walkthrough.mjs')).followWalkthrough({ development: root }),
  );

async function runVsix() {
  const { installVsix } = await import('./server.mjs');
  const out = join(cache, 'packages');
  execFileSync(process.execPath, [join(root, 'scripts', 'package.mjs'), '--target', 'linux-x64', '--out', relative(root, out)], {
    cwd: root,
    stdio: 'inherit',
  });
  const file = readdirSync(out).find((name) => name.endsWith('.vsix'));
  return runPerson('a person, with the installed package', { home: installVsix(join(out, file)) });
}

const counts = [];
ensureInstalled();
await prepare();
const suites = {
  ...Object.fromEntries(Object.keys(SUITES).map((name) => [name, () => runSuite(name)])),
  person: () => runPerson('a person, from the lens to the export', { development: root }),
  palette: runPalette,
  stop: runStop,
  restart: runRestart,
  walkthrough: runWalkthrough,
  vsix: runVsix,
};
const chosen = options.suite ? [options.suite] : Object.keys(suites).filter((name) => name !== 'vsix');
let ok = true;
for (const name of chosen) {
  if (!suites[name]) throw new Error(`there is no suite ${name}; known: ${Object.keys(suites).join(', ')}`);
  ok = (await suites[name]()) && ok;
}
const failed = counts.filter((result) => !result.ok).length;
console.log(`\n${counts.length - failed} passed, ${failed} failed`);
// In the form of vitest's own, so that one script can add up all suites.
if (process.env.ESPALIER_TEST_RESULTS) {
  const results = { numPassedTests: counts.length - failed, numFailedTests: failed, numPendingTests: 0, numTodoTests: 0, testResults: [] };
  writeFileSync(join(process.env.ESPALIER_TEST_RESULTS, `vscode${options.suite ? `-${options.suite}` : ''}.json`), JSON.stringify(results));
}
process.exit(ok ? 0 : 1);
