/** Pause, Resume and Stop, as a person presses them in the panel; then the best so far is exported from the offer. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { personAtWindow } from './person-at-window.mjs';
import { acceptExport, notification, webview } from './window.mjs';

const PATIENCE = 90_000;

/**
 * @param development folder of the extension to load from source
 * @returns what was seen, for the log
 */
export function pauseAndStop({ development }) {
  return personAtWindow('stop', { development }, async ({ page, folder, note }) => {
    const panel = webview(page);
    const press = (name) => panel.getByRole('button', { name, exact: true }).click({ timeout: PATIENCE });
    const status = (text) => panel.locator('header .status', { hasText: text }).waitFor({ timeout: PATIENCE });
    await page.locator('.explorer-viewlet .monaco-list-row', { hasText: 'long.espalier.json' }).dblclick({ timeout: PATIENCE });
    await page.locator('.codelens-decoration a', { hasText: /^\s*Run$/ }).click({ timeout: PATIENCE });
    await panel.locator('.pareto .front-point').first().waitFor({ timeout: PATIENCE });
    const inStatusBar = page.locator('.statusbar-item', { hasText: 'Espalier: small' });
    await inStatusBar.waitFor({ timeout: PATIENCE });
    assert.equal(await inStatusBar.count(), 1);
    note('the status bar has one item of the run');
    await press('Pause');
    await status('Paused');
    await inStatusBar.waitFor({ state: 'detached', timeout: PATIENCE });
    assert.equal(await panel.getByRole('button', { name: 'Pause', exact: true }).count(), 0);
    note('paused');
    await press('Resume');
    await status('Running');
    note('resumed');
    await press('Stop');
    await status('Stopped');
    await panel.locator('.banner.info', { hasText: 'The best candidate so far' }).waitFor({ timeout: PATIENCE });
    note('stopped');

    const offer = await notification(page, 'small is stopped. Its best so far:', PATIENCE);
    await offer.locator('.monaco-button', { hasText: 'Export…' }).click({ timeout: PATIENCE });
    await acceptExport(page, join(folder, 'small-compressed.onnx'), PATIENCE);
    note('its best so far is exported');

    await page.locator('.activitybar .action-label[aria-label="Espalier"]').click({ timeout: PATIENCE });
    await page.locator('.monaco-list-row[aria-label^="small, stopped"]').waitFor({ timeout: PATIENCE });
    for (const layer of ['conv1, Conv', 'fc, Gemm'])
      await page.locator(`.monaco-list-row[aria-label^="${layer} · "]`).waitFor({ timeout: PATIENCE });
    note('the views of runs and layers say so in words');
  });
}
