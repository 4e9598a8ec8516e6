/** The extension as a person uses it: click the lens, follow the run in the panel, click a Pareto point, export. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { personAtWindow } from './person-at-window.mjs';
import { fakePython } from './prepare.mjs';
import { acceptExport, webview } from './window.mjs';

const PATIENCE = 120_000;

/**
 * @param development folder of an extension to load from source; absent where one is installed in `home`
 * @returns what was seen, for the log
 */
export function useAsPerson({ development, home }) {
  return personAtWindow(
    'person',
    {
      development,
      home,
      prepare: (folder) => {
        // A setting of the machine, which the editor reads from the workspace but not from the browser's user.
        mkdirSync(join(folder, '.vscode'));
        writeFileSync(join(folder, '.vscode', 'settings.json'), JSON.stringify({ 'espalier.python.interpreter': fakePython }));
      },
    },
    async ({ page, folder, note }) => {
      await page.locator('.explorer-viewlet .monaco-list-row', { hasText: 'train.py' }).dblclick({ timeout: PATIENCE });
      await page.locator('.codelens-decoration a', { hasText: 'Compress this model' }).click({ timeout: PATIENCE });
      note('clicked the lens');

      const panel = webview(page);
      await panel.locator('.pareto .front-point').first().waitFor({ timeout: PATIENCE });
      await panel.getByText('Finished', { exact: true }).waitFor({ timeout: PATIENCE });
      note('followed the run to its end');

      const point = panel.locator('.pareto .front-point').first();
      const described = await point.getAttribute('aria-label');
      await point.locator('.mark').click({ timeout: PATIENCE });
      await panel.locator('.pareto .front-point[aria-selected="true"]').waitFor({ timeout: PATIENCE });
      note(`clicked a Pareto point: ${described}`);

      await panel.locator('vscode-button', { hasText: 'Export this one' }).click({ timeout: PATIENCE });
      await acceptExport(page, join(folder, 'net-compressed.onnx'), PATIENCE);
      note('exported');

      // The code lies over the panel, whose view is gone while it is hidden: what was chosen is there again.
      await page.locator('.tab', { hasText: /^net$/ }).click({ timeout: PATIENCE });
      await panel.locator('.pareto .front-point[aria-selected="true"]').waitFor({ timeout: PATIENCE });
      note('hid the panel and came back to it');

      await panel.locator('[data-item="conv1"]').click({ timeout: PATIENCE });
      await panel.getByRole('combobox', { name: 'Channels of conv1' }).selectOption('Skip this layer', { timeout: PATIENCE });
      await panel.locator('[data-item="conv1"].overridden').waitFor({ timeout: PATIENCE });
      assert.match(readFileSync(join(folder, 'net.espalier.json'), 'utf8'), /"layers": \{\s*"conv1": \{\s*"skip": true/);
      note("took a layer out of the agent's hands: the config says so");
    },
  );
}
