/** The panel as a person uses it: in a browser, with a fake host, under the real content security policy and real themes. */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { HostToPanel } from '../../src/protocol/panel-messages';
import { hostToPanelSchema } from '../../src/protocol/panel-messages';
import { launchBrowser } from '../browser/launch.mjs';
import { chainGraph, lenetGraph, resnet20Graph } from './fixtures/networks';
import { RUN_FOLDER, scriptRun } from './fixtures/run';
import { Panel, type PanelOptions, THEME_NAMES } from './panel-driver';

type Show = Extract<HostToPanel, { type: 'show' }>;

const KIBIBYTE = 1024;
/** Largest size of the bundle in bytes. */
const BUDGET = 500_000;
const resnet = scriptRun(resnet20Graph());
const lenet = scriptRun(lenetGraph());
const PAUSED = { status: 'interrupted', reason: 'stopped by the user', paused: true } as const;
let browser: Browser;
let panel: Panel;

const show = (more: Partial<Show> = {}): Show => ({
  type: 'show',
  graph: resnet.graph,
  run: resnet.at(140),
  sensitivity: resnet.sensitivity,
  overrides: {},
  configName: 'resnet20.espalier.json',
  state: null,
  trusted: true,
  ...more,
});
const open = async (options: PanelOptions = {}): Promise<Panel> => {
  panel = await Panel.open(browser, { show: show(), ...options });
  return panel;
};

/** Words of three letters and more that stand in no brackets, and in no attribute that is read out. Runs in the page. */
const wordsOutsideBrackets = (root: Element): string[] => {
  const found: string[] = [];
  const look = (text: string | null): void => {
    // Placeholders may hold brackets of their own: the innermost are taken away first.
    let rest = text ?? '';
    for (let before = ''; before !== rest; ) {
      before = rest;
      rest = rest.replace(/⟦[^⟦⟧]*⟧/g, ' ');
    }
    found.push(...(rest.match(/\p{L}{3,}/gu) ?? []));
  };
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) look(texts.currentNode.textContent);
  for (const element of root.querySelectorAll('[aria-label]')) look(element.getAttribute('aria-label'));
  return [...new Set(found)];
};

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());
afterEach(async () => {
  if (!panel) return;
  // Whatever a test did: nothing was refused, nothing failed inside.
  expect(await panel.refused()).toEqual([]);
  await panel.close();
});

test('the fixtures are messages as the protocol has them, and the bundle is within its budget', async () => {
  for (const episode of [0, 1, 60, 140, 200]) expect(hostToPanelSchema.safeParse(show({ run: resnet.at(episode) })).error).toBeUndefined();
  const size =
    statSync(new URL('../../dist/webview/panel.js', import.meta.url)).size +
    statSync(new URL('../../dist/webview/panel.css', import.meta.url)).size;
  expect(size).toBeLessThan(BUDGET);
  await open({ show: undefined });
});

describe('a run', () => {
  test('is followed from the first second to its end', async () => {
    const { page } = await open({ show: show({ run: resnet.at(0), graph: null, sensitivity: null }) });
    await page.getByText('The model is being read.').waitFor();
    await page.getByText('The model is being prepared').waitFor();
    await panel.post({ type: 'graph', graph: resnet.graph });
    await expect.poll(() => panel.card('conv1').innerText()).toContain('open');

    await panel.post({ type: 'run', run: resnet.at(1) });
    await expect.poll(() => page.locator('header').innerText()).toMatch(/episode\s+1\s\/\s100/);
    await expect.poll(() => page.locator('header').innerText()).toContain('not known yet');

    const run = resnet.at(60);
    await panel.post({ type: 'run', run });
    const ratio = run.current!.ratios['conv1'];
    const kept = Math.round(16 * (1 - ratio));
    expect(ratio).toBeGreaterThan(0);
    expect((await panel.card('conv1').innerText()).replaceAll('\u00a0', ' ')).toContain(`−${Math.round(ratio * 100)} %`);
    expect((await panel.card('conv1').innerText()).replace(/\s/g, '')).toContain(`16→${kept}`);
    await expect.poll(() => page.locator('.shown').innerText()).toBe('Being tried in episode 61');

    await panel.post({ type: 'run', run: resnet.at(140) });
    await expect.poll(() => panel.card('conv1').locator('.bits').innerText()).toBe(`${resnet.at(140).current!.bits['conv1']}\u00a0bit`);
    await expect.poll(() => page.locator('header').innerText()).toContain('Bit-width search');
    await expect.poll(() => page.getByRole('status').innerText()).toBe('resnet20: Bit-width search');

    await panel.post({ type: 'run', run: resnet.at(200, { status: 'finished', goalMet: true }) });
    await expect.poll(() => page.locator('header').innerText()).toMatch(/Finished[\s\S]*goal\s+met/);
    await expect.poll(() => page.locator('.shown').innerText()).toContain('Best candidate');
    await expect.poll(() => page.locator('[data-action="pauseRun"], [data-action="stopRun"]').count()).toBe(0);
  });

  test('a snapshot that is older than the one shown is dropped, also in a whole show', async () => {
    const { page } = await open();
    await panel.post({ type: 'run', run: resnet.at(20) });
    await expect.poll(() => page.locator('header').innerText()).toMatch(/40\s\/\s100/);
    await panel.post(show({ run: resnet.at(30) }));
    await expect.poll(() => page.locator('header').innerText()).toMatch(/40\s\/\s100/);
    await panel.post({ type: 'run', run: resnet.at(150) });
    await expect.poll(() => page.locator('header').innerText()).toMatch(/50\s\/\s100/);
  });

  test('a message that is none is reported and changes nothing', async () => {
    const { page } = await open();
    const before = await page.locator('#panel').innerText();
    await panel.post({ type: 'run', run: { revision: 'many' } });
    await panel.post('hello');
    await panel.post(null);
    await expect.poll(() => page.locator('#panel').innerText()).toBe(before);
    const errors = await panel.sent('viewError');
    expect(errors).toHaveLength(3);
    expect(errors[0].message).toContain('run.');
  });

  test('pause and resume are asked for, and an error is shown with its next step', async () => {
    const { page } = await open({ errors: { resumeRun: { message: 'The model file has changed.', hint: 'Start a new run.' } } });
    await page.getByRole('button', { name: 'Pause' }).click();
    await expect.poll(() => panel.sent('pauseRun')).toMatchObject([{ folder: RUN_FOLDER }]);
    await expect.poll(() => page.getByRole('status').innerText()).toBe('The run is paused.');
    await panel.post({
      type: 'run',
      run: { ...resnet.at(140, { status: 'interrupted', reason: 'The worker ended unexpectedly.' }), revision: 999 },
    });
    await page.getByText('The worker ended unexpectedly.').waitFor();
    await page.getByRole('button', { name: 'Resume' }).press('Enter');
    await page.getByRole('alert').getByText('The model file has changed. Start a new run.').waitFor();
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await expect.poll(() => page.getByRole('alert').innerText()).toBe('');
  });

  test('pause and resume are one button, on which the keyboard stays', async () => {
    const { page } = await open({ unanswered: 'pauseRun' });
    await page.locator('[data-action="pauseRun"]').focus();
    await page.keyboard.press('Enter');
    await expect.poll(async () => (await panel.sent('pauseRun')).length).toBe(1);
    await expect.poll(() => panel.focused()).toBe('Pausing…');
    await page.keyboard.press('Enter');
    await panel.post({ type: 'run', run: { ...resnet.at(140, PAUSED), revision: 999 } });
    const [{ id }] = await panel.sent('pauseRun');
    await panel.post({ type: 'response', id });
    await expect.poll(() => page.locator('header .status').innerText()).toBe('Paused');
    // Nothing is wrong: no banner says so.
    expect(await page.locator('.banner').count()).toBe(0);
    await expect.poll(() => panel.focused()).toBe('Resume');
    await page.keyboard.press('Enter');
    await expect.poll(() => panel.sent('resumeRun')).toMatchObject([{ folder: RUN_FOLDER }]);
    // While it was pausing, a second press asked for nothing.
    expect(await panel.sent('pauseRun')).toHaveLength(1);
  });

  test.each([
    ['running', () => resnet.at(140)],
    ['paused', () => resnet.at(140, PAUSED)],
  ])('a run that is %s is stopped for good by keyboard, and its best so far is offered', async (_, run) => {
    const { page } = await open({ show: show({ run: run() }), unanswered: 'stopRun' });
    // Pause or Resume, then Stop, then the export: in this order by Tab.
    await page.locator(run().summary.paused ? '[data-action="resumeRun"]' : '[data-action="pauseRun"]').focus();
    await page.keyboard.press('Tab');
    expect(await panel.focused()).toBe('Stop');
    await expect.poll(() => page.getByRole('button', { name: 'Stop', exact: true }).getAttribute('title')).toContain('Ends the run');
    await page.keyboard.press('Enter');
    await expect.poll(() => panel.focused()).toBe('Stopping…');
    await page.keyboard.press('Enter');
    const stopped = { status: 'interrupted', reason: 'ended by the user', stopped: true } as const;
    const end = resnet.at(140, stopped);
    await panel.post({ type: 'run', run: { ...end, revision: 999 } });
    const asked = await panel.sent('stopRun');
    expect(asked).toMatchObject([{ folder: RUN_FOLDER }]);
    await panel.post({ type: 'response', id: asked[0].id });
    await expect.poll(() => page.locator('header .status').innerText()).toBe('Stopped');
    await expect.poll(() => page.getByRole('status').innerText()).toBe('The run is stopped. Its best so far can be exported.');
    expect(await page.getByRole('button', { name: /^(Stop|Pause)$/ }).count()).toBe(0);
    await page.locator('.banner.info').getByText('Stopped after episode 40 of 100.').waitFor();
    // The keyboard is not lost with the button: it stands on the export.
    await expect.poll(() => panel.focused()).toBe('Export best…');
    await page.getByRole('button', { name: 'Export it…' }).click();
    await expect.poll(() => panel.sent('exportCandidate')).toMatchObject([{ folder: RUN_FOLDER, candidate: end.summary.best!.id }]);
    // It can be taken up again all the same.
    await page.getByRole('button', { name: 'Resume' }).click();
    await expect.poll(() => panel.sent('resumeRun')).toMatchObject([{ folder: RUN_FOLDER }]);
  });

  test('a run that waits can be stopped, and has nothing to pause', async () => {
    const { page } = await open({ show: show({ run: resnet.at(0, { status: 'queued' }) }) });
    expect(await page.getByRole('button', { name: 'Pause' }).count()).toBe(0);
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await expect.poll(() => panel.sent('stopRun')).toMatchObject([{ folder: RUN_FOLDER }]);
    await panel.post({ type: 'run', run: { ...resnet.at(0, { status: 'interrupted', stopped: true }), revision: 999 } });
    await page.locator('.banner.info').getByText('there is nothing to export').waitFor();
    // No export: the keyboard is on what there is.
    await expect.poll(() => panel.focused()).toBe('Resume');
  });

  test('every word is in the language of the editor', async () => {
    const bundle: Record<string, string> = JSON.parse(readFileSync(new URL('../../l10n/bundle.l10n.json', import.meta.url), 'utf8'));
    const translations = Object.fromEntries(Object.keys(bundle).map((text) => [text, `⟦${text}⟧`]));
    const { page } = await open({ translations });
    const foreign = () => page.locator('#panel').evaluate(wordsOutsideBrackets);
    // What the model, the machine and the engine say is no text of the panel.
    const { graph } = resnet;
    const data = [
      ...graph.nodes.flatMap(({ name, opType, weights }) => [name, opType, ...weights.map((weight) => weight.name)]),
      ...graph.groups.flatMap(({ id, explanation }) => [id, explanation]),
      ...[...graph.inputs, ...graph.outputs].map(({ name }) => name),
      ...[...graph.inputs, ...graph.outputs].flatMap(({ shape }) => (shape ?? []).map(String)),
      ...graph.edges.map(({ value }) => value),
      graph.format,
      'resnet20.espalier.json',
      resnet.at(140).summary.method,
    ].join(' ');
    const words = async () => (await foreign()).filter((word) => !data.includes(word));
    expect(await words()).toEqual([]);
    await panel.card('scope:layer2/0').click();
    expect(await words()).toEqual([]);
    await panel.card('conv1').click();
    await panel.clickCandidate(resnet.at(140).front[0]);
    await page.getByRole('button', { name: '⟦Reward⟧' }).click();
    expect(await words()).toEqual([]);
    await panel.post({ type: 'run', run: { ...resnet.at(140, { status: 'interrupted' }), revision: 999 } });
    expect(await words()).toEqual([]);
    await panel.post(show({ run: null, sensitivity: null }));
    expect(await words()).toEqual([]);
  });

  test('the result stands beside the original measured as it was', async () => {
    const run = resnet.at(200, { status: 'finished', goalMet: true });
    const { best, original } = run.summary;
    const result = {
      ...best!,
      id: 'final',
      stage: 'final' as const,
      accuracy: 0.8765,
      images: 9000,
      latency: [{ batch: 1, median: 2, low: 2, high: 2, runs: 50 }],
      original: { ...original!, accuracy: 0.8888, images: 9000, latency: [{ batch: 1, median: 3, low: 3, high: 3, runs: 50 }] },
    };
    const summary = { ...run.summary, best: result };
    const { page } = await open({ show: show({ run: { ...run, candidates: [...run.candidates, result], summary } }) });
    const text = (await page.locator('table.comparison').innerText()).replaceAll('\u00a0', ' ');
    expect(text).toMatch(/accuracy\s+88\.9 %\s+87\.\d %\s+−1\.2 points/);
    expect(text).toMatch(/time, batch 1\s+3\.00 ms\s+2\.00 ms\s+×1\.5 faster/);
    // The search saw other images: its best is not the result.
    await expect.poll(() => page.locator('header').innerText()).toMatch(/best\s+87\.\d/);
    expect(await page.locator('.side, .details').first().innerText()).not.toContain('do not compare');
  });

  test('an untrusted workspace is told so, and nothing can be started', async () => {
    const { page } = await open({ show: show({ trusted: false, limited: 'Runs need a trusted workspace.' }) });
    await page.getByText('Runs need a trusted workspace.').waitFor();
    for (const action of ['pauseRun', 'stopRun', 'exportCandidate'] as const) {
      await page.locator(`header [data-action="${action}"]`).click({ force: true });
      expect(await panel.sent(action)).toEqual([]);
    }
  });
});

describe('the graph', () => {
  test('blocks fold and unfold, and a layer that is clicked shows all that is known of it', async () => {
    const { page } = await open();
    await expect.poll(() => panel.card('layer2.0.conv1').count()).toBe(0);
    await panel.card('scope:layer2/0').dblclick();
    await panel.card('layer2.0.conv1').click();
    const details = page.locator('.details');
    await details.getByRole('heading', { name: 'layer2.0.conv1' }).waitFor();
    const text = (await details.innerText()).replaceAll('\u00a0', ' ');
    expect(text).toContain('32 × 16 × 3 × 3');
    expect(text).toContain('layer2.0.conv1 out, layer2.0.relu1, layer2.0.conv2 in');
    expect(text).toMatch(/MACs\s+1\.18 M/);
    expect(text).toContain('Accuracy with this alone changed, on 1,000 images.');
    await expect.poll(() => details.getByRole('img', { name: /Accuracy: untouched 91\.6.*50.*pruned/ }).count()).toBe(1);
    await expect.poll(() => details.getByRole('img', { name: /Choices over 140 episodes/ }).count()).toBe(1);
    await page.getByRole('button', { name: 'Fold layer2.0' }).click();
    await expect.poll(() => panel.card('layer2.0.conv1').count()).toBe(0);
    await details.getByRole('heading', { name: 'layer2.0' }).waitFor();
  });

  test('why a layer stays whole is said in words', async () => {
    const { page } = await open({ show: show({ graph: lenet.graph, run: null, sensitivity: null }) });
    await panel.card('fc3').click();
    await page.getByText("its channels are the model's output 'output'").waitFor();
    await expect.poll(() => page.locator('.details').innerText()).toContain('Not analysed yet.');
  });

  test('is walked by keyboard alone', async () => {
    const { page } = await open();
    const tree = page.getByRole('tree', { name: 'Layer graph' });
    await tree.focus();
    const at = () =>
      tree.evaluate((element) => document.getElementById(element.getAttribute('aria-activedescendant') ?? '')?.dataset['item']);
    await expect.poll(at).toBe('conv1');
    for (const expected of ['relu', 'scope:layer1/0', 'scope:layer1/1', 'scope:layer1/2', 'scope:layer2/0']) {
      await tree.press('ArrowDown');
      await expect.poll(at).toBe(expected);
    }
    await tree.press(' ');
    await expect.poll(() => panel.card('layer2.0.conv1').count()).toBe(1);
    await tree.press('ArrowUp');
    await tree.press('End');
    await expect.poll(at).toBe('fc');
    // It came into the window.
    const window = (await tree.boundingBox())!;
    await expect
      .poll(async () => ((await panel.card('fc').boundingBox())?.y ?? Number.POSITIVE_INFINITY) < window.y + window.height)
      .toBe(true);
    await tree.press('Enter');
    await page.getByRole('heading', { name: 'fc', exact: true }).waitFor();
    await expect.poll(() => panel.card('fc').getAttribute('aria-selected')).toBe('true');
    // Beside one another: left and right.
    await panel.post({ type: 'selectNode', node: 'layer2.0.conv2' });
    await tree.press('ArrowRight');
    await expect.poll(at).toBe('layer2.0.downsample.0');
    await tree.press('ArrowLeft');
    await expect.poll(at).toBe('layer2.0.conv2');
  });

  test('of a thousand layers keeps the document small while it is panned and zoomed', async () => {
    const { page } = await open({ show: show({ graph: chainGraph(1000), run: null, sensitivity: null }) });
    const tree = page.getByRole('tree');
    const elements = () => page.evaluate(() => document.querySelectorAll('*').length);
    const box = (await tree.boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    let most = await elements();
    const seen = new Set<string>();
    const note = async () => {
      most = Math.max(most, await elements());
      for (const id of await page
        .locator('[data-item]')
        .evaluateAll((cards) => cards.map((card) => (card as HTMLElement).dataset['item']!)))
        seen.add(id);
    };
    for (let i = 0; i < 12; i++) {
      await page.mouse.wheel(0, 900);
      await panel.settled();
      await note();
    }
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2, box.y + 40, { steps: 8 });
    await page.mouse.up();
    for (let i = 0; i < 12; i++) {
      await page.getByRole('button', { name: 'Zoom out' }).click();
      await panel.settled();
      await note();
    }
    await page.getByRole('button', { name: 'Fit' }).click();
    await panel.settled();
    await note();
    expect(most).toBeLessThan(1500);
    // It did move: other cards than at first were drawn.
    expect(seen.size).toBeGreaterThan(100);
    await expect.poll(() => page.locator('.far').getAttribute('d')).toMatch(/^M/);
    // A rectangle of the overview can be chosen like a card.
    const far = (await tree.boundingBox())!;
    const path = (await page.locator('.far').boundingBox())!;
    await page.mouse.click(path.x + 2, Math.max(path.y, far.y) + 2);
    await page.getByRole('heading', { name: 'conv0', exact: true }).waitFor();
  });

  test('without a layout is a list', async () => {
    const { page } = await open({ show: show({ graph: chainGraph(400, false), run: null, sensitivity: null }) });
    await expect.poll(() => page.locator('.layer-list tbody tr').count()).toBe(300);
    await page.getByRole('button', { name: 'Show 100 more' }).click();
    await expect.poll(() => page.locator('.layer-list tbody tr').count()).toBe(400);
    await page.getByRole('button', { name: 'conv399' }).click();
    await page.getByRole('heading', { name: 'conv399' }).waitFor();
  });
});

describe('the Pareto front', () => {
  test('a candidate that is clicked shows its policy on the graph, and can be exported', async () => {
    const { page } = await open();
    const run = resnet.at(140);
    const chosen = run.candidates.filter((candidate) => run.front.includes(candidate.id)).sort((a, b) => a.cost.macs - b.cost.macs)[0];
    expect(chosen.policy.ratios['conv1']).not.toBe(run.current!.ratios['conv1']);
    await panel.clickCandidate(chosen.id);
    await page.getByText('Chosen candidate').first().waitFor();
    const kept = Math.round(16 * (1 - chosen.policy.ratios['conv1']));
    expect((await panel.card('conv1').innerText()).replace(/\s/g, '')).toContain(`16→${kept}`);
    // It stays while the run goes on.
    await panel.post({ type: 'run', run: resnet.at(150) });
    expect((await panel.card('conv1').innerText()).replace(/\s/g, '')).toContain(`16→${kept}`);
    await page.getByRole('button', { name: 'Export this one…' }).click();
    await expect.poll(() => panel.sent('exportCandidate')).toMatchObject([{ folder: RUN_FOLDER, candidate: chosen.id }]);
    await page.locator('[data-action="clearCandidate"]').click();
    await expect.poll(() => page.locator('.shown').innerText()).toBe('Being tried in episode 51');
  });

  test('in a crowd the nearest candidate is chosen, also one that is not on the front', async () => {
    const { page } = await open();
    const run = resnet.at(140);
    for (const id of run.front.slice(0, 6)) {
      await panel.clickCandidate(id);
      await expect.poll(() => page.locator(`#pareto-${id}`).getAttribute('aria-selected')).toBe('true');
    }
    await page.keyboard.press('Escape');
    // The only one below the others, far from the front.
    const worst = run.candidates.reduce((a, b) => (b.cost.macs > a.cost.macs ? b : a));
    expect(run.front).not.toContain(worst.id);
    const dots = await page.locator('.pareto .dot').all();
    const places = await Promise.all(dots.map((dot) => dot.boundingBox()));
    const right = places.reduce((a, b) => (b!.x > a!.x ? b : a))!;
    await page.mouse.click(right.x + right.width / 2, right.y + right.height / 2);
    await page.locator('.chosen-candidate').getByText(`episode ${worst.episode}`).waitFor();
  });

  test('is walked by keyboard', async () => {
    const { page } = await open();
    const run = resnet.at(140);
    const front = run.candidates.filter((candidate) => run.front.includes(candidate.id)).sort((a, b) => a.cost.macs - b.cost.macs);
    const list = page.getByRole('listbox', { name: /Pareto front/ });
    await list.focus();
    await list.press('Home');
    await list.press('ArrowRight');
    await list.press('Enter');
    await expect.poll(() => page.locator(`#pareto-${front[1].id}`).getAttribute('aria-selected')).toBe('true');
    await expect.poll(() => page.locator('.shown').innerText()).toContain('Chosen candidate');
    await list.press('Escape');
    await expect.poll(() => page.locator('.shown').innerText()).toContain('Being tried');
    await page.getByRole('button', { name: 'Weight bytes' }).click();
    await page.getByText('weight bytes, share of the original').waitFor();
  });
});

describe('overrides', () => {
  test('are posted for the host to write, and shown once it has', async () => {
    const { page } = await open();
    await panel.card('conv1').click();
    await page.getByRole('combobox', { name: 'Channels of conv1' }).selectOption('Fixed share removed');
    const ratio = Math.round(resnet.at(140).current!.ratios['conv1'] * 100) / 100;
    await expect.poll(() => panel.sent('setOverride')).toMatchObject([{ name: 'conv1', override: { ratio } }]);
    await panel.post({ type: 'overrides', overrides: { conv1: { ratio } } });
    const field = page.getByRole('spinbutton', { name: 'Share of channels to remove, in percent' });
    await field.fill('60');
    await field.press('Tab');
    await expect.poll(async () => (await panel.sent('setOverride')).at(-1)?.override).toEqual({ ratio: 0.6 });
    await panel.post({ type: 'overrides', overrides: { conv1: { ratio: 0.6 } } });
    await page.getByRole('combobox', { name: 'Weight bits of conv1' }).selectOption('4');
    await expect.poll(async () => (await panel.sent('setOverride')).at(-1)?.override).toEqual({ ratio: 0.6, bits: 4 });
    await panel.post({ type: 'overrides', overrides: { conv1: { ratio: 0.6, bits: 4 } } });
    await expect.poll(() => panel.card('conv1').innerText()).toContain('override: ratio 60');
    await page.getByRole('combobox', { name: 'Channels of conv1' }).selectOption('Skip this layer');
    await expect.poll(async () => (await panel.sent('setOverride')).at(-1)?.override).toEqual({ skip: true });
    await panel.post({ type: 'overrides', overrides: { 'conv*': { skip: true } } });
    await page.getByText('Set by a pattern in the config.').waitFor();
  });

  test('hold what was chosen here, without the values of a pattern', async () => {
    const { page } = await open({ show: show({ overrides: { 'conv*': { ratio: 0.3 } } }) });
    await panel.card('conv1').click();
    await page.getByRole('combobox', { name: 'Weight bits of conv1' }).selectOption('4');
    await expect.poll(() => panel.sent('setOverride')).toMatchObject([{ name: 'conv1' }]);
    expect((await panel.sent('setOverride'))[0].override).toEqual({ bits: 4 });
  });

  test('are taken away by leaving both to the agent', async () => {
    const { page } = await open({ show: show({ overrides: { conv1: { bits: 4 } } }) });
    await panel.card('conv1').click();
    await page.getByRole('combobox', { name: 'Weight bits of conv1' }).selectOption('Agent decides');
    await expect.poll(() => panel.sent('setOverride')).toMatchObject([{ name: 'conv1', override: null }]);
    await expect.poll(() => page.getByRole('status').innerText()).toBe('The agent decides about conv1 again.');
  });
});

describe('a model without a run', () => {
  test('shows shapes and costs, and leads to a run and to an analysis', async () => {
    const { page } = await open({ show: show({ graph: lenet.graph, run: null, sensitivity: null }) });
    const text = (await page.locator('#panel').innerText()).replaceAll('\u00a0', ' ');
    expect(text).toMatch(/parameters\s+61\.7 K/);
    expect(text).toContain('118 K MACs');
    await expect.poll(() => page.locator('.charts').count()).toBe(0);
    await page.getByRole('button', { name: 'Compress this model…' }).click();
    await page.getByRole('button', { name: 'Analyze layer sensitivity' }).click();
    await expect.poll(async () => (await panel.sent('compressModel')).length).toBe(1);
    await expect.poll(() => panel.sent('requestSensitivity')).toMatchObject([{ groups: [], layers: [] }]);
  });

  test('an analysis shows how far it is, can be stopped, and its curves come as they are measured', async () => {
    const { page } = await open({ show: show({ graph: lenet.graph, run: null, sensitivity: null }), unanswered: 'requestSensitivity' });
    await panel.card('conv2').click();
    await page.getByRole('button', { name: 'Analyze this layer' }).click();
    await expect.poll(() => panel.sent('requestSensitivity')).toMatchObject([{ groups: ['conv2'], layers: ['conv2'] }]);
    await panel.post({ type: 'sensitivity', sensitivity: { ...lenet.sensitivity, groups: [], layers: [], done: 3, total: 16 } });
    await page.getByText('Being measured: 3 of 16 points.').waitFor();
    await page.getByRole('button', { name: 'Stop analysis' }).click();
    await expect.poll(async () => (await panel.sent('stopSensitivity')).length).toBe(1);
    await panel.post({ type: 'sensitivity', sensitivity: lenet.sensitivity });
    await page.getByRole('img', { name: /Accuracy: untouched/ }).waitFor();
    const [{ id }] = await panel.sent('requestSensitivity');
    await panel.post({ type: 'response', id });
    await expect.poll(() => page.getByRole('status').textContent()).toBe('The sensitivity of conv2 is known.');
    await expect.poll(() => page.getByRole('button', { name: 'Stop analysis' }).count()).toBe(0);
  });

  test('an analysis that the person stops is neither an error nor done', async () => {
    const { page } = await open({ show: show({ graph: lenet.graph, run: null, sensitivity: null }), unanswered: 'requestSensitivity' });
    await panel.card('conv2').click();
    await page.getByRole('button', { name: 'Analyze this layer' }).click();
    await expect.poll(async () => (await panel.sent('requestSensitivity')).length).toBe(1);
    const [{ id }] = await panel.sent('requestSensitivity');
    await panel.post({ type: 'response', id, cancelled: true });
    await page.getByRole('button', { name: 'Analyze this layer' }).waitFor();
    expect(await page.locator('.banner.error').count()).toBe(0);
    expect(await page.getByRole('status').textContent()).not.toContain('is known');
  });

  test('what was selected is let go by Escape, and by a click beside the layers', async () => {
    const { page } = await open({ show: show({ graph: lenet.graph, run: null, sensitivity: null }) });
    const selected = (): Promise<string | null> => panel.card('conv2').getAttribute('aria-selected');
    await panel.card('conv2').click();
    await expect.poll(selected).toBe('true');
    await page.keyboard.press('Escape');
    await expect.poll(selected).not.toBe('true');
    await expect.poll(() => page.getByRole('status').textContent()).toBe('Nothing selected');
    await panel.card('conv2').click();
    await expect.poll(selected).toBe('true');
    const area = (await page.locator('.graph').first().boundingBox())!;
    await page.mouse.click(area.x + 4, area.y + area.height - 6);
    await expect.poll(selected).not.toBe('true');
  });

  test('and without a model says what to do', async () => {
    const { page } = await open({ show: show({ graph: null, run: null, sensitivity: null }) });
    await page.getByText('There is no model and no run yet.').waitFor();
  });
});

describe('view state', () => {
  for (const editorApi of [true, false]) {
    test(`survives a reload ${editorApi ? 'in the editor' : 'in a plain page'}`, async () => {
      const { page } = await open({ editorApi });
      await panel.card('scope:layer2/0').dblclick();
      await panel.card('layer2.0.conv2').click();
      const front = resnet.at(140).front;
      await panel.clickCandidate(front[front.length - 1]);
      await page.getByRole('button', { name: 'Zoom in' }).click();
      await panel.settled();
      const before = await page.locator('.graph-world').evaluate((world) => (world as HTMLElement).style.transform);
      await expect.poll(async () => (await panel.sent('stateChanged')).at(-1)?.state.selectedNode).toBe('layer2.0.conv2');
      await page.reload();
      await panel.settled();
      await page.getByRole('heading', { name: 'layer2.0.conv2' }).waitFor();
      expect(await page.locator('.graph-world').evaluate((world) => (world as HTMLElement).style.transform)).toBe(before);
      await expect.poll(() => page.locator('.shown').innerText()).toContain('Chosen candidate');
      const [ready] = await panel.sent('ready');
      expect(ready.state).toMatchObject({
        selectedNode: 'layer2.0.conv2',
        selectedCandidate: front[front.length - 1],
        runFolder: RUN_FOLDER,
      });
    });
  }

  test('is dropped where it belongs to another run, and taken from the host where the page has none', async () => {
    const state = {
      runFolder: RUN_FOLDER,
      modelPath: resnet.graph.modelPath,
      selectedNode: 'conv1',
      expanded: [],
      zoom: 0.8,
      x: 10,
      y: 20,
    };
    const { page } = await open({ show: show({ state }) });
    await page.getByRole('heading', { name: 'conv1' }).waitFor();
    const other = resnet.at(10, { folder: '/work/.espalier/runs/8' });
    await panel.post(show({ run: other }));
    await page.getByRole('heading', { name: 'conv1' }).waitFor({ state: 'detached' });
  });
});

describe('accessibility', () => {
  for (const theme of THEME_NAMES) {
    for (const width of [1400, 600]) {
      test(`no problem that axe finds: ${theme}, ${width} px`, async () => {
        const { page } = await open({ theme, width, show: show({ overrides: { 'layer3.0.conv1': { skip: true } } }) });
        expect(await panel.accessibilityProblems()).toEqual([]);
        await panel.card('conv1').click();
        const { front } = resnet.at(140);
        await panel.clickCandidate(front[0]);
        await panel.settled();
        expect(await panel.accessibilityProblems()).toEqual([]);
        // Nothing is wider than the window.
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      });
    }
  }

  test('no problem without a run, in a list, and with errors and warnings', async () => {
    const { page } = await open({
      show: show({ graph: lenet.graph, run: null, sensitivity: null }),
      errors: { compressModel: { message: 'No.', hint: 'Try again.' } },
    });
    await page.getByRole('button', { name: 'Compress this model…' }).click();
    await page.getByRole('alert').getByText('Try again.').waitFor();
    expect(await panel.accessibilityProblems()).toEqual([]);
    await panel.post(show({ graph: chainGraph(40, false), run: { ...resnet.at(0), warnings: ['Few images.'] }, limited: 'Limited.' }));
    expect(await panel.accessibilityProblems()).toEqual([]);
  });
});

describe('screenshots for the documentation', () => {
  const folder = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
  const wide = { width: 1400, height: 860 };
  for (const [name, options] of [
    ['panel-dark', { theme: 'dark', ...wide }],
    ['panel-light', { theme: 'light', ...wide }],
    ['panel-hc', { theme: 'hc-black', ...wide }],
    ['panel-narrow', { theme: 'dark', width: 600, height: 1500 }],
    [
      'panel-model',
      {
        theme: 'light',
        ...wide,
        show: show({ graph: lenet.graph, run: null, sensitivity: { ...lenet.sensitivity }, configName: undefined }),
      },
    ],
  ] as const satisfies ReadonlyArray<readonly [string, PanelOptions]>) {
    test(name, async () => {
      mkdirSync(folder, { recursive: true });
      const { page } = await open({ show: show({ overrides: { 'layer2.1.conv1': { ratio: 0.5 } } }), ...options });
      await panel.post({ type: 'selectNode', node: name === 'panel-model' ? 'conv2' : 'layer2.0.conv1' });
      await page.mouse.move(0, 0);
      await panel.settled();
      const path = `${folder}${name}.png`;
      await page.screenshot({ path });
      const file = readFileSync(path);
      expect(file.subarray(1, 4).toString()).toBe('PNG');
      expect(file.length).toBeLessThan(200 * KIBIBYTE);
    });
  }
});
