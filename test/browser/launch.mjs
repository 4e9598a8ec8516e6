/** Starts a headless Chromium: one that is installed, or else the one from npm, which needs Linux x64 with libnss3, libnspr4 and libexpat1. */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const INSTALLED = [
  process.env.ESPALIER_CHROMIUM,
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

export async function chromiumPath() {
  return INSTALLED.find((path) => path && existsSync(path)) ?? (await (await import('@sparticuz/chromium')).default.executablePath());
}

export async function launchBrowser() {
  return chromium.launch({
    executablePath: await chromiumPath(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-sync',
      '--disable-dev-shm-usage',
      '--disable-lcd-text',
    ],
  });
}
