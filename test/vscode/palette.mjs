/** "Compress Model…" from the command palette, question by question; every method of the command line is offered. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { personAtWindow } from './person-at-window.mjs';
import { chooseCommand, webview } from './window.mjs';

const PATIENCE = 90_000;
/** One that the flow does not recommend. */
const METHOD = 'evolutionary';

/** Names as `espalier methods` lists them. */
const methodNames = (development) =>
  execFileSync(process.execPath, [join(development, 'dist', 'cli.js'), 'methods', '--json'], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).name);

/**
 * @param development folder of the extension to load from source
 * @returns what was seen, for the log
 */
export function compressFromPalette({ development }) {
  return personAtWindow('palette', { development }, async ({ page, folder, note }) => {
    const input = (placeholder) => page.locator(`.quick-input-widget input[placeholder^="${placeholder}"]`);
    const row = (text) => page.locator('.quick-input-list .monaco-list-row', { hasText: text }).first();
    const answer = async (question, text) => {
      await input(question).waitFor({ timeout: PATIENCE });
      await row(text).click({ timeout: PATIENCE });
    };

    await page.locator('.activitybar .action-label[aria-label="Espalier"]').waitFor({ timeout: PATIENCE });
    await chooseCommand(page, 'Espalier: Compress Model', PATIENCE);
    await answer('Which model?', 'small.onnx');
    await answer('What is it tested on?', 'digits');
    await answer('What must the result keep to?', 'Half the computation');
    note('model, data and goal are asked for');

    const method = input('Which method?');
    await method.waitFor({ timeout: PATIENCE });
    const names = methodNames(development);
    assert.ok(names.length > 15, names.join());
    // The four that are recommended go by their titles alone.
    const titles = {
      'two-stage-ppo': 'Two-stage PPO',
      'episodic-ppo': 'Episodic PPO',
      'random-search': 'Random search',
      uniform: 'Uniform',
    };
    for (const name of names) {
      await method.fill(titles[name] ?? name);
      await row(titles[name] ?? name).waitFor({ timeout: PATIENCE });
    }
    note(`${names.length} methods are offered`);
    await method.fill(METHOD);
    await row(METHOD).click({ timeout: PATIENCE });
    await answer('How long to search?', 'Quick look');
    await answer('Ready.', 'Write the config and start');

    const panel = webview(page);
    await panel.locator('header .status', { hasText: /Running|Finished/ }).waitFor({ timeout: PATIENCE });
    const config = JSON.parse(readFileSync(join(folder, 'small.espalier.json'), 'utf8').replace(/^\/\/.*$/m, ''));
    assert.deepEqual(config, {
      model: 'small.onnx',
      data: { name: 'digits' },
      goal: { flops: 0.5, maxAccuracyDrop: 0.01 },
      method: METHOD,
      search: { episodes: 10 },
    });
    assert.ok(existsSync(join(folder, '.espalier', 'runs')));
    note('the config is written, and runs');
  });
}
