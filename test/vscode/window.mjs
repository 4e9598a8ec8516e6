/** A VS Code window in headless Chromium, over a server of server.mjs. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { format } from 'node:util';

// The browser and its driver belong to test/browser, which is installed by itself.
const browserRequire = createRequire(new URL('../browser/package.json', import.meta.url));

const SYSTEM_BROWSERS = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium', '/usr/bin/google-chrome'];

/** A Chromium of the system where there is one, else the one from npm (which needs libnss3). */
export async function browserPath() {
  const installed = [process.env.ESPALIER_CHROMIUM, ...SYSTEM_BROWSERS].find((file) => file && existsSync(file));
  return installed ?? (await (await import(browserRequire.resolve('@sparticuz/chromium'))).default.executablePath());
}

export async function launchBrowser() {
  const { chromium } = browserRequire('playwright-core');
  return chromium.launch({
    executablePath: await browserPath(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-sync',
      '--disable-dev-shm-usage',
    ],
  });
}

/**
 * Opens a folder. `development` is an extension's folder to load from source; `tests` a module whose `run()` VS Code calls in the extension host.
 * `exitCode` resolves when the tests have ended.
 */
export async function openWindow(server, { folder, development, tests, onLog, size = { width: 1400, height: 900 } }) {
  const browser = await launchBrowser();
  // A context of its own, so that further windows can share its storage.
  const context = await browser.newContext({ viewport: size });
  const page = await context.newPage();
  let finish;
  const exitCode = new Promise((resolve) => {
    finish = resolve;
  });
  if (tests) {
    // The web workbench calls these two functions, where they exist, with the tests' output and exit code.
    await page.exposeFunction('codeAutomationExit', (code) => finish(code));
    await page.exposeFunction('codeAutomationLog', (type, args) => onLog?.(type, format(...args)));
  }
  const remote = `vscode-remote://127.0.0.1:${server.port}`;
  const payload = [
    ['skipWelcome', 'true'],
    ['skipReleaseNotes', 'true'],
  ];
  if (development) payload.push(['extensionDevelopmentPath', remote + development]);
  if (tests) payload.push(['extensionTestsPath', remote + tests]);
  const query = `folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(JSON.stringify(payload))}`;
  await page.goto(`http://127.0.0.1:${server.port}/?${query}`);
  return { browser, page, exitCode };
}

/** The document of a web view. VS Code nests it: page > iframe.webview > iframe#active-frame. `nth` picks among several open ones. */
export const webview = (page, nth = 0) => page.locator('iframe.webview.ready').nth(nth).contentFrame().frameLocator('iframe#active-frame');

/**
 * The notification with `text`, in the notification center: under its test driver VS Code shows no toasts, and the bell has a dot instead.
 * @returns its list item, once it is there
 */
export async function notification(page, text, timeout) {
  const item = page.locator('.notifications-center .notification-list-item', { hasText: text });
  const bell = page.locator('[id="status.notifications"] a');
  const end = Date.now() + timeout;
  while (!(await item.isVisible())) {
    if (Date.now() > end) throw new Error(`no notification with "${text}" within ${timeout / 1000} s`);
    if (!(await page.locator('.notifications-center.visible').isVisible())) await bell.click();
    await page.waitForTimeout(500);
  }
  return item;
}

/**
 * Chooses a command from the palette. The palette lists what there is when it opens: commands whose conditions an extension has not yet
 * set are left out until it is opened anew.
 * @param title as the palette shows it, its first words
 */
export async function chooseCommand(page, title, patience) {
  const until = Date.now() + patience;
  const command = page.locator(`.quick-input-list .monaco-list-row[aria-label^="${title}"]`).first();
  for (;;) {
    await page.keyboard.press('F1');
    await page.locator('.quick-input-widget input').first().fill(`>${title}`);
    const last = Date.now() > until;
    try {
      await command.click({ timeout: 5000 });
      return;
    } catch (error) {
      if (last) throw error;
      await page.keyboard.press('Escape');
    }
  }
}

/** Takes the name that an export's dialog offers, once it offers it (it looks at the folder first), and waits for the code that loads the file. */
export async function acceptExport(page, file, patience) {
  await page.waitForFunction(
    (wanted) => [...document.querySelectorAll('.quick-input-widget input')].some(({ value }) => value === wanted),
    file,
    { timeout: patience },
  );
  await page.keyboard.press('Enter');
  await page.locator('.tab', { hasText: `load ${basename(file)}.md` }).waitFor({ timeout: patience });
  assert.ok(existsSync(file), 'the export is on disk');
}
