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

/** Processor time so far, ms: unlike the clock it does not count what other processes on the machine take. */
const processorTime = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

describe('damaged files', () => {
  const files = seedFiles(new Random(1));

  it('start from files that are read', () => {
    expect(files.map((f) => examine(f).kind)).toEqual(['success', 'success', 'success']);
  });

  it('are read or refused, 300 of them, each within two seconds', () => {
    const counts = { success: 0, refused: 0, fault: 0 };
    const faults: string[] = [];
    for (let index = 0; index < 300; index++) {
      const bytes = damage(files, new Random(SEED).fork(String(index)));
      const started = processorTime();
      const outcome = examine(bytes);
      const took = processorTime() - started;
      counts[outcome.kind]++;
      if (outcome.kind === 'fault') faults.push(`case ${index}: ${outcome.message}`);
      if (took > 2000) faults.push(`case ${index} took ${took} ms`);
    }
    expect(faults).toEqual([]);
    // Damage of both kinds: such as ends at once, and such as goes deep.
    expect(counts.success).toBeGreaterThan(30);
    expect(counts.refused).toBeGreaterThan(100);
  });
});

describe('50,000 nodes in a row take seconds', () => {
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
    const started = processorTime();
    const { model: read } = normalize(parseModel(bytes));
    findChannelGroups(read, inferTypes(read));
    countCosts(read);
    // Alone: 0.6 to 2.3 s. What grows with the square takes minutes.
    expect(processorTime() - started).toBeLessThan(6000);
    expect(read.graph.nodes.length).toBe(left);
  });
});
