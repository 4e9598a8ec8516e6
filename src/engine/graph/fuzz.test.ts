/** Damaged files: each is read or refused with one sentence (the long form is `npm run bench -- fuzz`). */
import { describe, expect, it } from 'vitest';
import { modelBytes, parseModel } from '../onnx/file';
import { type Model, makeNode } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { Random } from '../random';
import { findChannelGroups } from './channel-groups';
import { countCosts } from './costs';
import { inferTypes } from './infer';
import { normalize } from './passes/normalize';
import { damage } from './testing/damage';
import { examine } from './testing/examine';
import { seedFiles } from './testing/fuzz-seeds';

const SEED = 11;

describe('damaged files', () => {
  const files = seedFiles(new Random(1));

  it('start from files that are read', () => {
    expect(files.map((f) => examine(f).kind)).toEqual(['success', 'success', 'success']);
  });

  it('are read or refused, 300 of them', { timeout: 60_000 }, () => {
    const counts = { success: 0, refused: 0, fault: 0 };
    const faults: string[] = [];
    for (let index = 0; index < 300; index++) {
      const outcome = examine(damage(files, new Random(SEED).fork(String(index))));
      counts[outcome.kind]++;
      if (outcome.kind === 'fault') faults.push(`case ${index}: ${outcome.message}`);
    }
    expect(faults).toEqual([]);
    // Damage of both kinds: such as ends at once, and such as goes deep.
    expect(counts.success).toBeGreaterThan(30);
    expect(counts.refused).toBeGreaterThan(100);
  });
});

// Alone each takes 0.6 to 2.3 s; what grew with the square of the number would take minutes, and run into the limit.
describe('50,000 nodes in a row are read and analysed', { timeout: 60_000 }, () => {
  const count = 50_000;
  const chain = (make: (from: string, to: string) => ReturnType<typeof makeNode>): Model => ({
    graph: {
      name: 'chain',
      nodes: Array.from({ length: count }, (_, i) => make(i === 0 ? 'x' : `v${i - 1}`, `v${i}`)).reverse(),
      inputs: [{ name: 'x', type: 'float32', shape: ['N', 4, 2, 2] }],
      outputs: [{ name: `v${count - 1}`, type: 'float32', shape: ['N', 4, 2, 2] }],
      initializers: new Map([['w', Tensor.float32('w', [4, 4, 1, 1], new Float32Array(16).fill(1))]]),
    },
    opsets: new Map([['', 17]]),
    irVersion: 8,
    metadata: new Map(),
    header: {},
  });

  it.each([
    ['all of one name', chain((from, to) => makeNode('Relu', [from], [to], {}, { name: 'same' })), count],
    ['of one weight', chain((from, to) => makeNode('Conv', [from, 'w'], [to])), count],
    ['that do nothing', chain((from, to) => makeNode('Identity', [from], [to])), 1],
  ])('%s', (_, model, left) => {
    const bytes = modelBytes(model);
    const { model: read } = normalize(parseModel(bytes));
    findChannelGroups(read, inferTypes(read));
    countCosts(read);
    expect(read.graph.nodes.length).toBe(left);
  });
});
