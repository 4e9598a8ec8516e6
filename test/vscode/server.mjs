/** VS Code's own web server, in a fresh home. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeBinary, vscodeFolder } from './install.mjs';
import { removeFolder } from './remove-folder.mjs';
import { SETTINGS } from './settings.mjs';

const START_TIMEOUT = 60_000;

const freePort = () =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

/** A fresh home for a server; `remove` takes it away. */
export function freshHome() {
  const home = mkdtempSync(join(tmpdir(), 'espalier-vscode-'));
  return {
    home,
    extensions: join(home, 'extensions'),
    remove: () => removeFolder(home),
  };
}

/**
 * Starts the server. `env` reaches the extension host. A window finds its state again where the server comes back on the same port.
 * @returns port, and `stop`, which ends the server and removes its home, unless that is kept for another
 */
export async function startServer({ env = {}, settings = {}, home = freshHome(), port: wanted } = {}) {
  const user = join(home.home, 'user');
  mkdirSync(join(user, 'User'), { recursive: true });
  writeFileSync(join(user, 'User', 'settings.json'), JSON.stringify({ ...SETTINGS, ...settings }));
  const port = wanted ?? (await freePort());
  const child = spawn(
    nodeBinary,
    [
      'out/server-main.js',
      ...['--host', '127.0.0.1', '--port', String(port), '--without-connection-token', '--accept-server-license-terms'],
      ...['--enable-smoke-test-driver', '--telemetry-level', 'off', '--user-data-dir', user],
      ...['--server-data-dir', join(home.home, 'server'), '--extensions-dir', home.extensions],
    ],
    { cwd: vscodeFolder, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (log += data));
  const started = Date.now();
  while (!/agent listening/.test(log)) {
    if (child.exitCode !== null) throw new Error(`VS Code's server ended: ${log.slice(-2000)}`);
    if (Date.now() - started > START_TIMEOUT) {
      child.kill('SIGKILL');
      throw new Error(`VS Code's server did not start in ${START_TIMEOUT / 1000} s: ${log.slice(-2000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const stop = ({ keepHome = false } = {}) =>
    new Promise((resolve) => {
      const finish = async () => {
        if (!keepHome) await home.remove();
        resolve();
      };
      if (child.exitCode !== null || child.signalCode !== null) return finish();
      child.once('exit', finish);
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), 5000).unref();
    });
  return { port, home: home.home, log: () => log, stop };
}

/** Installs a packaged extension into a fresh home, offline. */
export function installVsix(file, home = freshHome()) {
  const output = execFileSync(
    nodeBinary,
    [
      'out/server-main.js',
      ...['--install-extension', file, '--force', '--accept-server-license-terms', '--extensions-dir', home.extensions],
      ...['--server-data-dir', join(home.home, 'server'), '--user-data-dir', join(home.home, 'user')],
    ],
    { cwd: vscodeFolder, encoding: 'utf8' },
  );
  if (!/successfully installed/i.test(output)) throw new Error(`the extension was not installed: ${output}`);
  return home;
}
