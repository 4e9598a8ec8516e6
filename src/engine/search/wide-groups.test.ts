import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../protocol/config';
import { npyBytes, put, raw } from '../data/testing/sample-files';
import { saveModel } from '../onnx/file';
import { elementCount } from '../onnx/tensor';
import { GraphBuilder } from '../ops/builder';
import { Random } from '../random';
import { startRun } from './run';
import { groupsTooWideFor, tooWideFor } from './wide-groups';

const root = mkdtempSync(join(tmpdir(), 'espalier-wide-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const random = new Random(5);
const drawn = (count: number, scale: number): Float32Array => Float32Array.from({ length: count }, () => scale * random.normal());

/** 16 channels, then 96, then 5 classes. */
function network(): void {
  const b = new GraphBuilder();
  const weights = (name: string, shape: readonly number[]) =>
    b.floats(name, shape, drawn(elementCount(shape), 1 / Math.sqrt(elementCount(shape.slice(1)))));
  let h = b.input('input', ['N', 3, 8, 8]);
  for (const [name, shape] of [
    ['narrow', [16, 3, 3, 3]],
    ['wide', [96, 16, 3, 3]],
  ] as const)
    h = b.op('Relu', [b.op('Conv', [h, weights(`${name}.weight`, shape)], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, { name })]);
  h = b.op('Flatten', [b.op('GlobalAveragePool', [h])], { axis: 1 });
  b.output(b.op('Gemm', [h, weights('classes.weight', [5, 96])], { transB: 1 }, { name: 'classes' }), 'scores', ['N', 5]);
  saveModel(b.build('wide'), join(root, 'net.onnx'));
  put(join(root, 'x.npy'), npyBytes('<f4', [16, 3, 8, 8], raw(drawn(16 * 3 * 64, 1))));
}
network();

/** Groups that were decided, and what was warned of. */
async function pruned(change: Partial<ConfigInput>): Promise<{ groups: string[]; warnings: string[] }> {
  const warnings: string[] = [];
  const config = configSchema.parse({
    model: 'net.onnx',
    data: { files: { inputs: 'x.npy' }, normalization: { scale: 1 } },
    method: 'uniform',
    stages: { quantize: false },
    recovery: { epochs: 0 },
    output: { folder: 'runs' },
    threads: 1,
    ...change,
  });
  const { result } = await startRun(config, { folder: root, listener: (e) => e.type === 'warning' && warnings.push(e.message) });
  return { groups: Object.keys(result.candidate.policy.ratios), warnings: warnings.filter((w) => w.includes('too few for wide')) };
}

it('what is too wide for the samples stays whole where the goal can do without it, and the run says so', async () => {
  const { groups, warnings } = await pruned({ goal: { flops: 0.8 } });
  expect(groups).toEqual(['narrow']);
  expect(warnings).toEqual([expect.stringContaining('(96 channels), which stay whole')]);
});

it.each<[string, Partial<ConfigInput>, number]>([
  ['the goal needs it', { goal: { flops: 0.3 } }, 1],
  ['the config says so', { goal: { flops: 0.8 }, pruning: { wide: 'prune' } }, 1],
  ['an override names it', { goal: { flops: 0.8 }, layers: { wide: { maxRatio: 0.5 } } }, 0],
])('it is cut where %s', async (_, change, count) => {
  const { groups, warnings } = await pruned(change);
  expect(groups).toEqual(['narrow', 'wide']);
  expect(warnings).toHaveLength(count);
  for (const w of warnings) expect(w).toContain('may answer well on these samples and on no others');
});

it('groups too wide for the samples that layers are fitted to are named, three at most, with what becomes of them', () => {
  const groups = [40, 61, 90, 600, 1280].map((channels, i) => ({ id: `g${i}`, channels }));
  const wide = groupsTooWideFor(20, groups);
  const named = 'layers are fitted to 20 samples only, too few for g1 (61 channels), g2 (90 channels), g3 (600 channels) and 1 more';
  expect(tooWideFor(20, wide, false)).toBe(
    `${named}: what is pruned there may answer well on these samples and on no others. Give more samples, or leave such layers whole ("layers": { "g1": { "skip": true } })`,
  );
  expect(tooWideFor(20, wide, true)).toBe(
    `${named}, which stay whole. Give more samples, or let the agent cut them ("pruning": { "wide": "prune" })`,
  );
  expect(tooWideFor(427, groupsTooWideFor(427, groups), true)).toBeUndefined();
});
