/** N2N: recurrent policies take layers out of the network, then narrow what is left; students are taught by the original. */
import { SEQUENCE_POLICY_DEFAULTS, SequencePolicyAgent } from '../agents/sequence-policy';
import type { Method } from './method';
import { ownOptions } from './options';

/** The paper's shrinkage keeps one of 0.1, 0.2 … 1.0 of a layer's channels: as ratios that are removed. */
const RATIOS = Array.from({ length: 10 }, (_, i) => i / 10);

/** Ours: the paper teaches each student for a few epochs, which a search on two cores has no time for. */
const TEACHING = { tuneSteps: 60, tuneBatch: 64, tuneBatches: 60, tuneRate: 0.02, distance: 0.05, removalShare: 0.4 };

export const n2n: Method = {
  name: 'n2n',
  title: 'N2N',
  description: 'A recurrent policy takes layers and blocks out, a second one narrows the rest; every student is taught by the original.',
  source: 'Ashok et al. 2017, N2N Learning: Network to Network Compression via Policy Gradient Reinforcement Learning',
  credit: 'episode',
  space: 'student',
  bitsBy: 'uniform',
  settings: () => ({ reward: 'n2n' }),
  student: ({ method }) => {
    const { tuneSteps, tuneBatch, tuneBatches, tuneRate, ...own } = ownOptions(method.options, TEACHING);
    return { ...own, steps: tuneSteps, batch: tuneBatch, batches: tuneBatches, learningRate: tuneRate };
  },
  options: Object.keys({ ...TEACHING, ...SEQUENCE_POLICY_DEFAULTS }),
  createAgent: ({ backend, observationSize, steps, random, options, part, problem }) => {
    const own = ownOptions(options, { ...SEQUENCE_POLICY_DEFAULTS });
    return part === 'remove'
      ? new SequencePolicyAgent(backend, observationSize, [0, 1], steps, { kind: 'both', sequence: problem.sequence ?? [] }, random, own)
      : new SequencePolicyAgent(backend, observationSize, RATIOS, steps, { kind: 'forwards' }, random, own);
  },
};
