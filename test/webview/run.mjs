/** Tests of the panel: installs a browser on first use, builds the panel as it is shipped, and runs the tests. */
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { installBrowserPackages } from '../browser/setup.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const node = (...parts) => execFileSync(process.execPath, parts, { cwd: root, stdio: 'inherit' });

installBrowserPackages();
await build({
  absWorkingDir: root,
  entryPoints: { panel: 'webview/panel/main.ts' },
  outdir: 'dist/webview',
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  legalComments: 'none',
  logLevel: 'warning',
});
for (const project of ['webview', 'test/webview']) node('node_modules/typescript/bin/tsc', '--noEmit', '-p', project);
node('node_modules/vitest/vitest.mjs', 'run', '--config', 'test/webview/vitest.config.mts', ...process.argv.slice(2));
