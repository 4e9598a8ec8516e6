/** What a window leaves behind and finds again: it is reloaded, closed and opened anew while a run is going. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { explained } from './failure.mjs';
import { freshWorkspace } from './prepare.mjs';
import { removeFolder } from './remove-folder.mjs';
import { freshHome, startServer } from './server.mjs';
import { notification, openWindow, webview } from './window.mjs';

const PATIENCE = 120_000;
/** For the rest of the run. */
const RUN_PATIENCE = 420_000;
const MODEL = 'small';
/** In each of two stages, pruning and quantisation: enough to be caught in the middle twice, few enough to be waited for. */
const EPISODES = 600;
const CONFIG = {
  model: `${MODEL}.onnx`,
  data: { name: 'digits', digits: { train: 300, test: 200 } },
  search: { episodes: EPISODES, actors: 1 },
  pruning: { calibrationImages: 60, final: { calibrationImages: 60 } },
  recovery: { epochs: 0 },
  quantization: { epochs: 0 },
};

async function until(what, probe) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${PATIENCE / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Events of the only run of a workspace, as its journal has them. */
function journal(folder) {
  const runs = join(folder, '.espalier', 'runs');
  const names = readdirSync(runs).filter((name) => !name.startsWith('.'));
  assert.equal(names.length, 1, `one run, not ${names.join(', ')}`);
  const lines = readFileSync(join(runs, names[0], 'journal.jsonl'), 'utf8')
    .trim()
    .split('\n');
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      // The line that is being written.
      return [];
    }
  });
}

/** Numbers of the episodes, those of both stages one after the other. */
const episodesIn = (events) => events.filter(({ type }) => type === 'episode').map(({ episode }) => episode);
const episodesOf = (events) => episodesIn(events).length;

/** Events from the `count`-th interruption on, once it is there. */
const interruption = (folder, count) =>
  until(`interruption ${count} in the journal`, () => {
    const events = journal(folder);
    return events.filter(({ type }) => type === 'interrupted').length >= count && events;
  });

/** What the browser holds of the window's storage. */
const storage = (page) =>
  page.evaluate(async () => {
    const done = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const values = [];
    for (const { name } of await indexedDB.databases()) {
      if (!name.startsWith('vscode-web-state-db')) continue;
      const database = await done(indexedDB.open(name));
      for (const store of database.objectStoreNames) values.push(...(await done(database.transaction(store).objectStore(store).getAll())));
      database.close();
    }
    return values.filter((value) => typeof value === 'string').join('\n');
  });

/** Waits until the storage has `pattern`: the browser writes it every few seconds, where a desktop window does as it closes. */
const written = (page, pattern) => until(`${pattern} in the window's storage`, async () => pattern.test(await storage(page)));

/**
 * @param development folder of the extension to load from source
 * @returns what was seen, for the log
 */
export async function restartWindow({ development }) {
  const folder = freshWorkspace();
  writeFileSync(join(folder, `${MODEL}.espalier.json`), JSON.stringify(CONFIG));
  const home = freshHome();
  let server = await startServer({ home });
  const notes = [];
  let page;
  const status = (text, timeout = PATIENCE) => webview(page).getByText(text, { exact: true }).first().waitFor({ timeout });
  try {
    const window = await openWindow(server, { folder, development });
    page = window.page;
    await page.locator('.explorer-viewlet .monaco-list-row', { hasText: `${MODEL}.espalier.json` }).dblclick({ timeout: PATIENCE });
    await page.locator('.codelens-decoration a', { hasText: /^\s*Run$/ }).click({ timeout: PATIENCE });
    await webview(page).locator('.pareto .front-point').first().waitFor({ timeout: PATIENCE });
    notes.push('a run is going');

    // The editor that holds the panel, with the view's own state.
    await written(page, /espalier\.panel.*runFolder\\/);
    assert.ok(episodesOf(journal(folder)) < 2 * EPISODES, 'the run is still going');
    await page.reload();
    const first = await interruption(folder, 1);
    // The panel is restored without being asked for, and shows what the journal holds.
    await status('Interrupted');
    await webview(page).locator('.pareto .front-point').first().waitFor({ timeout: PATIENCE });
    notes.push(`reloaded after ${episodesOf(first)} episodes: the panel is back`);

    await webview(page).locator('vscode-button', { hasText: 'Resume' }).click({ timeout: PATIENCE });
    await until('further episodes', () => episodesOf(journal(folder)) > episodesOf(first));
    await status('Running');
    notes.push('resumed from the panel');

    const { port } = server;
    const address = page.url();
    const context = page.context();
    await server.stop({ keepHome: true });
    const second = await interruption(folder, 2);
    assert.ok(episodesOf(second) < 2 * EPISODES, 'the run was still going');
    assert.deepEqual(
      second.filter(({ type }) => type === 'interrupted').map(({ reason, asked }) => [reason, asked]),
      Array(2).fill(['the window was closed or reloaded', false]),
    );
    notes.push(`the editor ended after ${episodesOf(second)} episodes: the run is interrupted in its journal`);

    await page.close();
    server = await startServer({ home, port });
    page = await context.newPage();
    await page.goto(address);
    const offered = `The run of ${MODEL} was interrupted when the window closed`;
    await (await notification(page, offered, PATIENCE)).locator('.monaco-button', { hasText: 'Resume' }).click({ timeout: PATIENCE });
    notes.push('the next start of the window offers to resume it');
    await status('Finished', RUN_PATIENCE);
    const end = journal(folder);
    assert.equal(end.at(-1).type, 'finished');
    const stage = Array.from({ length: EPISODES }, (_, episode) => episode);
    assert.deepEqual(episodesIn(end), [...stage, ...stage], 'no episode was lost or done twice');
    notes.push('resumed on the next start, to its end');
    await window.browser.close();
    return notes;
  } catch (error) {
    throw await explained(error, 'restart', page, notes);
  } finally {
    await server.stop();
    await removeFolder(folder);
  }
}
