/**
 * Installs what tests in a browser need, once: Playwright's driver, a Chromium, axe. Everything comes from npm.
 * A marker holds the hash of the lock file, so that a new pin installs again.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const marker = join(here, 'node_modules', '.espalier-installed');

/** Installs the packages unless those of this lock file are there. */
export function installBrowserPackages() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(here, 'package-lock.json')))
    .digest('hex');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return;
  const windows = process.platform === 'win32';
  execFileSync(windows ? 'npm.cmd' : 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: here,
    stdio: 'inherit',
    shell: windows,
  });
  writeFileSync(marker, wanted);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installBrowserPackages();
