/** A pruning problem that takes no time: costs as of a chain of layers, accuracy by a formula whose sensitive layers are known. */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { absoluteBudget, type Config, type ConfigInput, configSchema } from '../../../protocol/config';
import type { Candidate, Policy } from '../../../protocol/policy';
import { loadTensorBackend } from '../../agents/tensor-backend';
import type { WidthChoices } from '../../search/budget';
import type { PruneBudget } from '../../search/choices';
import type { WidthDecision } from '../../search/prune-environment';
import { Recorder } from '../../search/recorder';
import type { RunContext } from '../../search/run-context';
import { RunFolder } from '../../search/run-folder';
import { type StageResult, searchStage } from '../../search/search-stage';
import { bestForTargets, keptChannels, type TargetResult, type WidthGroup, widthStage } from '../../search/width-stage';
import { findMethod } from '../registry';
import { withMethodSettings } from '../settings';

const backend = await loadTensorBackend('js');

/** Channels of each group, its share of the MACs, and how much accuracy goes with it (loss = sensitivity · ratio²). */
const LAYERS = [
  { channels: 16, macs: 100, sensitivity: 0.6 },
  { channels: 16, macs: 300, sensitivity: 0.05 },
  { channels: 32, macs: 200, sensitivity: 0.4 },
  { channels: 32, macs: 400, sensitivity: 0.02 },
  { channels: 64, macs: 150, sensitivity: 0.3 },
] as const;
const ACCURACY = 0.95;

const choices: WidthChoices[] = LAYERS.map(({ channels }) => ({
  channels,
  widths: Array.from({ length: 8 }, (_, i) => channels - (i * channels) / 8),
}));

export const groups: WidthGroup[] = LAYERS.map(({ channels, macs }, index) => ({
  id: `g${index}`,
  choices: choices[index],
  features: { index, outChannels: channels, inChannels: channels, kernel: [3, 3], stride: 1, flops: macs, map: [8, 8] },
}));

/** A group's layers cost in proportion to its width and half to that of the group before. */
export function macsOf(kept: readonly number[]): number {
  return LAYERS.reduce((sum, { macs, channels }, i) => {
    const before = i > 0 ? kept[i - 1] / LAYERS[i - 1].channels : 1;
    return sum + macs * (kept[i] / channels) * (0.5 + 0.5 * before);
  }, 0);
}

const WHOLE = macsOf(LAYERS.map((l) => l.channels));

export function accuracyOf(kept: readonly number[]): number {
  return ACCURACY - LAYERS.reduce((sum, { sensitivity, channels }, i) => sum + sensitivity * (1 - kept[i] / channels) ** 2, 0);
}

const budgetFor = (flops: number): PruneBudget => {
  const limit = absoluteBudget(flops, WHOLE);
  return { cost: (kept) => macsOf(kept) / limit, budget: { ceiling: 1, floor: Math.max(0, 1 - (0.03 * WHOLE) / limit) } };
};

export interface Played {
  readonly config: Config;
  readonly result: StageResult;
  readonly targets: readonly TargetResult[];
  readonly candidates: readonly Candidate[];
  /** The whole policy of each episode, in order, those that had been measured before included. */
  readonly played: readonly Policy[];
  /** Policies that were measured, in order (a resumed run does not measure again what its journal has). */
  readonly measured: ReadonlyArray<readonly WidthDecision[]>;
}

export interface PlayOptions {
  readonly input?: Partial<ConfigInput>;
  /** Stops with an error at this measurement, counted from 1; then goes on in a new process's place. */
  readonly killAt?: number;
}

/** A whole stage with a method, in a run folder that is removed afterwards. */
export async function play(name: Config['method']['name'], { input = {}, killAt }: PlayOptions = {}): Promise<Played> {
  const config = withMethodSettings(
    configSchema.parse({
      model: 'chain.onnx',
      method: { name, options: { hidden: 24, minibatch: 16, actorLearningRate: 3e-3, criticLearningRate: 1e-2 } },
      goal: { flops: 0.5 },
      search: { episodes: 60, actors: 2 },
      agent: { hidden: 16, minibatch: 16 },
      ...input,
    }),
  );
  const folder = RunFolder.create(tmpdir(), `espalier-${name}-${process.pid}`, new Date(0));
  const measured: Array<readonly WidthDecision[]> = [];
  const played: Policy[] = [];
  try {
    for (let attempt = 0; ; attempt++) {
      const recorder = new Recorder(folder.journal, (e) => {
        if (e.type === 'episode') played.push(e.policy);
      });
      try {
        const context = contextOf(config, folder, recorder);
        const targets = (findMethod(name).targets?.(config) ?? []).map((share) => ({ share, ...budgetFor(share) }));
        const definition = widthStage({
          config,
          groups,
          budget: config.goal.flops === undefined ? undefined : budgetFor(config.goal.flops),
          targets,
          flops: macsOf,
          cost: (policy: Policy) => costOf(keptChannels(policy, groups)),
          measure: async (decisions) => {
            if (attempt === 0 && measured.length + 1 === killAt) throw new Killed();
            measured.push(decisions);
            const kept = new Map(decisions);
            return { accuracy: Math.max(0, accuracyOf(groups.map((g) => kept.get(g.id) ?? g.choices.channels))) };
          },
          keep: async () => {},
        });
        const result = await searchStage(context, definition);
        const candidates = [...recorder.candidates.values()];
        return { config, result, targets: bestForTargets(candidates, targets, groups), candidates, measured, played };
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
      } finally {
        recorder.close();
      }
    }
  } finally {
    rmSync(folder.path, { recursive: true, force: true });
  }
}

class Killed extends Error {}

function costOf(kept: readonly number[]): Candidate['cost'] {
  const macs = macsOf(kept);
  return { macs, effectiveMacs: macs, params: 10 * macs, effectiveParams: 10 * macs, weightBytes: 40 * macs };
}

function contextOf(config: Config, folder: RunFolder, recorder: Recorder): RunContext {
  const { macs, params, weightBytes } = costOf(LAYERS.map((l) => l.channels));
  return {
    config,
    folder,
    recorder,
    backend,
    original: { accuracy: ACCURACY, flops: macs, params, bytes: weightBytes, sparsity: 0 },
    // Of what was prepared, a stage only reads how many images score a candidate.
    prepared: { data: { search: { count: 100 } } } as unknown as RunContext['prepared'],
    expired: () => false,
  };
}
