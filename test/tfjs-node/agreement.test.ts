import { afterAll, describe, expect, test } from 'vitest';
import { decodeFloats } from '../../src/engine/agents/float-codec.js';
import { PpoAgent } from '../../src/engine/agents/ppo.js';
import { loadTensorBackend, type TensorBackend, TFJS_NODE_DIRECTORY } from '../../src/engine/agents/tensor-backend.js';
import { IdentityBandit } from '../../src/engine/agents/testing/known-answer.js';
import { runEpisode } from '../../src/engine/agents/testing/rollout.js';
import { playUpToAnUpdate } from '../../src/engine/agents/testing/update-scenario.js';
import { Random } from '../../src/engine/random.js';

const numbers = (encoded: unknown): number[] =>
  (encoded as string[]).flatMap((text) => [...decodeFloats(text, Buffer.from(text, 'base64').length / 4)]);

describe.skipIf(!process.env[TFJS_NODE_DIRECTORY])(`PPO on tfjs-node (set ${TFJS_NODE_DIRECTORY} to run)`, () => {
  test('one update gives the same weights as in pure JavaScript, within 1e-5', async () => {
    const js = await loadTensorBackend('js');
    expect(js.tf.getBackend()).toBe('cpu');
    const { before, transition, after, environment, observationSize } = await playUpToAnUpdate(js);

    // Only now: all copies of TensorFlow.js in a process share one engine, and the backend loaded last computes for all of them.
    const native = await loadTensorBackend('native');
    expect(native.kind).toBe('native');
    expect(native.tf.getBackend()).toBe('tensorflow');

    const agent = new PpoAgent(native, observationSize, new Random(0));
    agent.restore({ ...before, backend: native.name });
    agent.observe(transition, environment.reward);
    const state = agent.state();
    for (const network of ['actor', 'critic', 'targetActor', 'targetCritic']) {
      const expected = numbers(after[network]);
      const actual = numbers(state[network]);
      const largest = actual.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i])), 0);
      console.log(`${network}: largest difference of ${actual.length} weights ${largest.toExponential(2)}`);
      expect(largest).toBeLessThan(1e-5);
    }
  });

  test('two native runs are equal byte for byte', async () => {
    const native = await loadTensorBackend('native');
    const run = async () => JSON.stringify((await play(native, 12)).agent.state());
    expect(await run()).toBe(await run());
  });

  // No test: figures that are printed beside them.
  afterAll(async () => {
    for (const kind of ['js', 'native'] as const) {
      const backend = await loadTensorBackend(kind);
      const { milliseconds } = await play(backend, 20);
      console.log(`${backend.name}: median ${milliseconds.toFixed(2)} ms for act, step and update, over 20 episodes of 8 steps`);
    }
  });
});

async function play(backend: TensorBackend, episodes: number): Promise<{ agent: PpoAgent; milliseconds: number }> {
  const environment = new IdentityBandit(new Random(1));
  const agent = new PpoAgent(backend, environment.observationSize, new Random(2), { learningStarts: 1 });
  const times: number[] = [];
  for (let episode = 0; episode < episodes; episode++) {
    const start = performance.now();
    await runEpisode(agent, environment, environment.reward);
    times.push((performance.now() - start) / environment.steps);
  }
  return { agent, milliseconds: times.sort((a, b) => a - b)[times.length >> 1] };
}
