/** The walkthrough as a person follows it: four steps, of which the last ends with the demo network compressed. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { personAtWindow } from './person-at-window.mjs';
import { chooseCommand, webview } from './window.mjs';

const PATIENCE = 120_000;
/** Training and compressing take half a minute on an idle machine. */
const DEMO_PATIENCE = 420_000;
const STEPS = ['Look at a model', 'Say what it must keep to', 'Follow the search', 'Compress the demo network'];

/**
 * @param development folder of the extension to load from source
 * @returns what was seen, for the log
 */
export function followWalkthrough({ development }) {
  return personAtWindow('walkthrough', { development }, async ({ page, folder, note }) => {
    // The extension's own view is there, and with it its commands.
    await page.locator('.activitybar .action-label[aria-label="Espalier"]').waitFor({ timeout: PATIENCE });
    await chooseCommand(page, 'Espalier: Get Started', PATIENCE);
    const steps = page.locator('.getting-started-step');
    await steps.first().waitFor({ timeout: PATIENCE });
    const titles = await steps.locator('.step-title').allInnerTexts();
    assert.deepEqual(
      titles.map((title) => title.trim()),
      STEPS,
    );
    note(`${titles.length} steps`);

    const last = steps.filter({ hasText: STEPS.at(-1) });
    await last.click({ timeout: PATIENCE });
    await page
      .locator('.getting-started-step.expanded .monaco-button', { hasText: 'Compress the Demo Network' })
      .click({ timeout: PATIENCE });
    await webview(page).locator('.pareto .front-point').first().waitFor({ timeout: DEMO_PATIENCE });
    note('the demo network is trained, and its search is followed in the panel');
    await webview(page).getByText('Finished', { exact: true }).waitFor({ timeout: DEMO_PATIENCE });
    const runs = join(folder, 'espalier-demo', '.espalier', 'runs');
    const [run] = readdirSync(runs).filter((name) => !name.startsWith('.'));
    assert.ok(existsSync(join(runs, run, 'best')), 'the compressed network is on disk');
    const parameters = /^\| parameters, structured \|.*$/m.exec(readFileSync(join(runs, run, 'report.md'), 'utf8'))?.[0];
    note(`compressed: ${parameters}`);

    await page.locator('.tab', { hasText: 'Welcome' }).click({ timeout: PATIENCE });
    await steps
      .filter({ hasText: STEPS.at(-1) })
      .locator('.codicon.complete')
      .first()
      .waitFor({ timeout: PATIENCE });
    note('the last step is ticked off');
  });
}
