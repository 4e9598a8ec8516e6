import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Sensitivity } from '../../protocol/layer-graph';
import { SensitivityCache } from './sensitivity-cache';
import { type CurveGroup, sensitivityCurves } from './sensitivity-curves';
import { measuredOn, sensitivityReport, sensitivitySection, writeSensitivityReport } from './sensitivity-report';

const SHA = 'ab'.repeat(32);
const member = (...layers: string[]) => [{ layers }];
const groups: CurveGroup[] = [
  { id: 'conv1', channels: 8, producers: member('conv1', 'conv3'), parameters: member('bn1') },
  { id: 'a<b|c', channels: 4, producers: member('a<b|c'), parameters: member('depthwise') },
  { id: 'not scanned', channels: 4, producers: member('conv9'), parameters: [] },
];
const conditions = { data: 'digits', selection: 'l1', reconstruct: false, machine: 'Fast CPU, 2 cores, linux x64' };
const scan: Sensitivity = {
  modelPath: join('models', 'net.onnx'),
  sha256: SHA,
  baseline: 0.9,
  images: 1000,
  measure: 'accuracy',
  conditions,
  groups: [
    {
      group: 'conv1',
      points: [
        { ratio: 0.3, channels: 6, accuracy: 0.85 },
        { ratio: 0.5, channels: 4, accuracy: 0.6 },
      ],
    },
    { group: 'a<b|c', points: [{ ratio: 0.5, channels: 2, accuracy: 0.5 }] },
  ],
  layers: ['conv1', 'depthwise', 'fc'].map((layer, i) => ({
    layer,
    points: [
      { bits: 1, accuracy: 0.4 + i / 10 },
      { bits: 8, accuracy: 0.9 },
    ],
  })),
  done: 9,
  total: 9,
  seconds: 1,
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'espalier-sensitivity-report-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('sensitivityReport', () => {
  const lines = sensitivityReport(scan, groups).split('\n');

  it('has a row for each group with its channels and its accuracy at each ratio', () => {
    expect(lines).toContain('| group | channels | 0.3 | 0.5 |');
    expect(lines).toContain('| conv1 | 8 | 85.0 (6) | 60.0 (4) |');
    expect(lines).toContain('| a<b\\|c | 4 |  | 50.0 (2) |');
  });

  it('has a row for each layer with its accuracy at each bit-width', () => {
    expect(lines).toContain('| layer | 8 | 1 |');
    expect(lines).toContain('| fc | 90.0 | 60.0 |');
  });

  it('says what it was measured on and where the curves are', () => {
    expect(lines).toContain(
      'Accuracy on 1,000 held-out samples of digits (the first of the search split); the original: 90.00 %, standard error 0.95 points; channels chosen by l1, nothing rebuilt; begun on Fast CPU, 2 cores, linux x64.',
    );
    expect(lines.join('\n')).toContain('](sensitivity.svg)');
    expect(measuredOn({ ...scan, measure: 'agreement', conditions: undefined })).toBe(
      'Agreement with the original on 1,000 held-out samples; the original: 90.00 %, standard error 0.95 points.',
    );
    expect(measuredOn({ ...scan, conditions: { ...conditions, reconstruct: true, machine: undefined } })).toMatch(
      /by l1, readers rebuilt by least squares\.$/,
    );
  });

  it('says how far a scan went', () => {
    expect(sensitivityReport({ ...scan, done: 4 }, groups)).toContain('4 of 9 points so far');
  });
});

describe('sensitivityCurves', () => {
  const svg = sensitivityCurves(scan, groups, 'Sensitivity of net', measuredOn(scan));
  const charts = [...svg.matchAll(/<g transform="[^"]*">(.*)<\/g>/g)].map((m) => m[1]);
  /** The points of the lines with this ink. */
  const drawn = (chart: string, ink: string): number[][][] =>
    [...chart.matchAll(new RegExp(`<path d="M([^"]*)" stroke="${ink}"`, 'g'))].map(([, d]) =>
      d.split('L').map((p) => p.split(' ').map(Number)),
    );

  it('draws a chart for each group that was scanned, then one for each layer left', () => {
    expect(charts.map((c) => /<title>(.*?)<\/title>/.exec(c)![1])).toEqual(['conv1', 'a&lt;b|c', 'fc']);
  });

  it('draws accuracy against what is removed from the original on, solid; against bits, dashed; the original, dotted', () => {
    const [ratios] = drawn(charts[0], '#0969da');
    expect(ratios).toHaveLength(3);
    const [[x0, y0], [x1, y1], [x2, y2]] = ratios;
    // 8 channels, of which 6 and 4 are left; 90, 85 and 60 %, downwards in the image.
    expect((x1 - x0) / (x2 - x0)).toBeCloseTo(0.25 / 0.5, 2);
    expect((y1 - y0) / (y2 - y0)).toBeCloseTo(0.05 / 0.3, 1);
    const [bits] = drawn(charts[0], '#bc4c00');
    expect(bits[0]).toEqual([x0, y0]);
    expect(bits[1][0]).toBeCloseTo(x0 + 2 * (x2 - x0), 0);
    expect(bits[1][1]).toBeGreaterThan(y2);
    expect(charts[0]).toMatch(new RegExp(`M${x0} ${y0}h\\d+" stroke="#24292f" stroke-width="1.5" stroke-dasharray`));
    expect(drawn(charts[2], '#0969da')).toHaveLength(0);
  });

  it('stands on paper of its own and can be pasted into a page', () => {
    const [, width, height] = /^<svg [^>]*width="(\d+)" height="(\d+)"/.exec(svg)!;
    expect(svg).toContain(`<rect width="${width}" height="${height}" fill="#ffffff"/>`);
    expect(svg).not.toMatch(/NaN|undefined|Infinity|\sid=|<style|<\?xml/);
    for (const tag of ['svg', 'g', 'text', 'tspan', 'title'])
      expect(svg.match(new RegExp(`<${tag}[ >]`, 'g'))!.length).toBe(svg.match(new RegExp(`</${tag}>`, 'g'))!.length);
  });

  it('takes long names, many notes and equal accuracies', () => {
    const name = 'scope/'.repeat(40);
    const flat: Sensitivity = { ...scan, baseline: 1, groups: [], layers: [{ layer: name, points: [{ bits: 8, accuracy: 1 }] }] };
    const one = sensitivityCurves(flat, [], name, 'word '.repeat(100));
    expect(one).not.toMatch(/NaN|undefined|Infinity/);
    for (const [, text] of one.replaceAll(/<title>.*?<\/title>/g, '').matchAll(/<text[^>]*>([^<]*)/g))
      expect(text.length).toBeLessThan(120);
  });
});

describe('files', () => {
  it('lie beside each other, whole, and are replaced', () => {
    const out = join(folder, 'a', 'b');
    for (let i = 0; i < 2; i++) expect(writeSensitivityReport(out, scan, groups).report).toBe(join(out, 'sensitivity.md'));
    expect(readdirSync(out).sort()).toEqual(['sensitivity.md', 'sensitivity.svg']);
    expect(readFileSync(join(out, 'sensitivity.svg'), 'utf8')).toMatch(/^<svg .*<\/svg>\n$/s);
  });
});

describe('the section of a run', () => {
  const runFolder = (): string => join(folder, 'runs', 'net-1');
  const cached = (sha256: string): void =>
    SensitivityCache.open(join(folder, 'sensitivity'), {
      modelPath: 'net.onnx',
      sha256,
      images: 1000,
      measure: 'accuracy',
      conditions,
      key: '01'.repeat(32),
    }).put([
      { key: 'baseline', accuracy: 0.9 },
      { key: 'group:conv1:6', accuracy: 0.85, ratio: 0.3 },
      { key: 'layer:fc:2', accuracy: 0.7 },
    ]);
  const section = (): string[] => sensitivitySection(runFolder(), { modelPath: join(folder, 'models', 'net.onnx'), sha256: SHA, groups });
  beforeEach(() => mkdirSync(runFolder(), { recursive: true }));

  it('holds the cached scan of the same model', () => {
    cached(SHA);
    const lines = section();
    expect(lines[0]).toBe('## Sensitivity');
    expect(lines).toEqual(expect.arrayContaining([measuredOn(scan), '| conv1 | 8 | 85.0 (6) |', '| fc | 70.0 |']));
    expect(readFileSync(join(runFolder(), 'sensitivity.svg'), 'utf8')).toContain('<title>conv1</title>');
  });

  it('is absent without one, or with one of another model', () => {
    expect(section()).toEqual([]);
    cached('cd'.repeat(32));
    expect(section()).toEqual([]);
    expect(existsSync(join(runFolder(), 'sensitivity.svg'))).toBe(false);
  });
});
