/** What the lottery-ticket methods share: the weights that are rewound to, training with a mask held, random masks, what is written. */
import { resolve } from 'node:path';
import { absoluteBudget } from '../../protocol/config';
import { overrideFor } from '../../protocol/layer-overrides';
import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import { findArchitecture } from '../architectures/registry';
import { UserError } from '../errors';
import { loadAnyModel } from '../formats/registry';
import { countCosts } from '../graph/costs';
import type { Layer } from '../graph/layers';
import { normalize } from '../graph/passes/normalize';
import { ownOptions } from '../methods/options';
import { saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { overallSparsity, type ScheduledLayer, shuffledMask } from '../pruning/magnitude-schedule';
import { applyMasks } from '../pruning/weight-masks';
import { Random } from '../random';
import { accuracyOf } from '../runtime/evaluate';
import { type FitOptions, fitModel } from '../training/fit';
import { formatPercent } from './figures';
import { epochCheckpoints, trainingBatches, tuningOptions } from './recover';
import type { RunContext } from './run-context';
import { savedModel } from './saved-model';
import { trainingRecordOf } from './train-baseline-record';

export interface TicketOptions {
  /** Share of all weights of the layers that is gone in the end; in (0, 1). */
  readonly sparsity: number;
  /** Epochs of each training from the rewound weights, and the learning rate it begins with. */
  readonly epochs: number;
  readonly learningRate: number;
  /** File of the initial weights, relative to the config; '': those that `train` draws, or else the model's own. */
  readonly initial: string;
  /** Epochs after which early weights are taken; 0: the initial ones (Frankle et al. 2019 rewind to early weights in large networks). */
  readonly rewindEpochs: number;
  /** A mask of another run, relative to the config: nothing is searched, it is trained here. '': none. */
  readonly mask: string;
  /** Also train a random mask of the same sparsity in every layer. */
  readonly baseline: boolean;
}

/** The options of the config, with defaults from its other parts. @throws UserError where one has another type or cannot be */
export function ticketOptions(context: Pick<RunContext, 'config' | 'prepared'>): TicketOptions {
  const { config } = context;
  const { train, recovery } = config;
  const options = ownOptions(config.method.options, {
    sparsity: wantedSparsity(context),
    epochs: train?.epochs ?? Math.max(1, recovery.epochs),
    learningRate: train?.learningRate ?? recovery.learningRate,
    initial: '',
    rewindEpochs: 0,
    mask: '',
    baseline: true,
  });
  if (!(options.sparsity > 0 && options.sparsity < 1))
    throw new UserError(
      `method.options.sparsity is ${options.sparsity}, and must lie between 0 and 1`,
      'It is the share of weights to be gone: 0.8.',
    );
  for (const name of ['epochs', 'rewindEpochs'] as const) {
    const least = name === 'epochs' ? 1 : 0;
    if (!Number.isInteger(options[name]) || options[name] < least)
      throw new UserError(`method.options.${name} is ${options[name]}`, `Give a whole number of at least ${least}.`);
  }
  return options;
}

/**
 * Share of the maskable weights that has to go: what `goal.params` asks of all parameters, biases included (they stay), else
 * `reward.targetSparsity`.
 */
export function wantedSparsity(context: Pick<RunContext, 'config' | 'prepared'>): number {
  const { goal, reward } = context.config;
  if (goal.params === undefined) return reward.targetSparsity;
  const { params } = context.prepared.costs;
  const layers = maskableLayers(context);
  const weights = layers.reduce((sum, l) => sum + l.weights, 0);
  // A weight more for each layer, as their numbers are rounded.
  const excess = params - absoluteBudget(goal.params, params) + layers.length;
  return Math.min(1, Math.max(0, excess / weights));
}

/**
 * The least sparsity from `least` on at which what masks leave of the multiply-accumulates keeps `goal.flops`; `least` where the goal names
 * none, or `method.options.sparsity` says how much goes.
 * @param sharesAt shares of the layers' weights that go at a sparsity, growing with it
 * @throws UserError where even the sparsest masks miss the goal
 */
export function sparsityWithinFlops(
  { config, prepared }: Pick<RunContext, 'config' | 'prepared'>,
  layers: readonly MaskableLayer[],
  least: number,
  sharesAt: (sparsity: number) => readonly number[],
): number {
  const { costs } = prepared;
  if (config.goal.flops === undefined || config.method.options['sparsity'] !== undefined) return least;
  const limit = absoluteBudget(config.goal.flops, costs.macs);
  const macs = layers.map(({ layer }) => prepared.layers.reduce((sum, l) => sum + (l.weight === layer.weight ? l.macs : 0), 0));
  // A weight more for each layer, as their numbers are rounded.
  const rounding = layers.reduce((sum, l, i) => sum + macs[i] / l.weights, 0);
  const left = (sparsity: number): number => sharesAt(sparsity).reduce((sum, share, i) => sum - share * macs[i], costs.macs) + rounding;
  let [low, high] = [least, 1 - 1e-6];
  if (left(low) <= limit) return low;
  if (left(high) > limit)
    throw new UserError(
      `goal.flops: at most ${Math.round(limit)} of ${Math.round(costs.macs)} cannot be reached; with every layer masked as far as allowed ${Math.round(left(high))} are left`,
      'Raise the budget, or allow more in "layers" (maxRatio is the largest share of weights masked).',
    );
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (left(middle) <= limit) high = middle;
    else low = middle;
  }
  return high;
}

/** A path of the config's as a path. */
export function configPath({ folder }: RunContext, path: string): string {
  return resolve(folder.readJson<{ folder: string }>(folder.config)?.folder ?? '.', path);
}

/** A layer whose weights may be masked, with the limits that the config sets for it. */
export interface MaskableLayer extends ScheduledLayer {
  readonly layer: Layer;
}

/** In graph order; a weight that several layers share is listed once. @throws UserError where `layers` skips them all */
export function maskableLayers({ config, prepared }: Pick<RunContext, 'config' | 'prepared'>): MaskableLayer[] {
  const { layers, model } = prepared;
  const seen = new Set<string>();
  const found = layers.flatMap((layer): MaskableLayer[] => {
    const override = overrideFor(config.layers, [layer.name, layer.weight.replace(/\.weight$/, '')]);
    if (override?.skip || seen.has(layer.weight)) return [];
    seen.add(layer.weight);
    return [
      {
        layer,
        weights: model.graph.initializers.get(layer.weight)!.size,
        output: layer === layers[layers.length - 1],
        least: override?.ratio ?? override?.minRatio ?? 0,
        most: override?.ratio ?? override?.maxRatio ?? 1,
      },
    ];
  });
  if (found.length === 0)
    throw new UserError('"layers" skips every layer of the model, so there is no weight to mask', 'Take a skip out of "layers".');
  return found;
}

/**
 * The weights that are rewound to: of the file that is named, or those that `espalier train` began with (they follow from the seed that it
 * wrote into the model; a run has one of its own), else the model's own, which the run then says.
 * @throws UserError where they are of another network
 */
export async function initialModel(context: RunContext, { initial }: TicketOptions): Promise<Model> {
  const { config, prepared, recorder } = context;
  const own = prepared.model;
  const record = trainingRecordOf(own);
  const warn = (message: string): Promise<boolean> =>
    recorder.once('note:rewind', async () => {
      recorder.warning(message);
      return true;
    });
  const drawn = initial === '' ? config.train : undefined;
  if (drawn && record && record.architecture !== drawn.architecture) {
    await warn(
      `the model was trained as ${record.architecture}, not as the ${drawn.architecture} of "train", so the masked network is rewound to the model as it is; "train.architecture" or "method.options.initial" puts it right`,
    );
    return own;
  }
  let from: Model | undefined;
  if (initial !== '') from = normalize(await loadAnyModel(configPath(context, initial))).model;
  else if (drawn) {
    const random = new Random(record?.seed ?? config.seed).fork('weights');
    from = normalize(findArchitecture(drawn.architecture).build({ classes: prepared.data.classes, random })).model;
  }
  if (!from) {
    await warn(
      'the weights before training are not known, so the masked network is rewound to the model as it is; "train" or "method.options.initial" names them',
    );
    return own;
  }
  for (const [name, tensor] of own.graph.initializers) {
    const other = from.graph.initializers.get(name);
    if (other?.dims.join() === tensor.dims.join()) continue;
    throw new UserError(
      `${initial === '' ? `the network that "train" builds` : initial} is not the model before its training: ${other ? `'${name}' is [${other.dims.join(', ')}] in it and [${tensor.dims.join(', ')}] in the model` : `it has no '${name}'`}`,
      'Name the file with "method.options.initial": the same network, untrained.',
    );
  }
  if (drawn && !record)
    await warn(
      `the model does not say which seed it was trained with, so its weights before training are assumed to be those of seed ${config.seed}, the run's; train it again with \`espalier train\`, or name them with "method.options.initial"`,
    );
  return from;
}

/** Early weights: the initial ones after some epochs at the full learning rate. */
export function rewoundModel(context: RunContext, initial: Model, options: TicketOptions): Promise<Model> {
  if (options.rewindEpochs === 0) return Promise.resolve(initial);
  return trained(context, 'rewind', initial, new Map(), { ...options, epochs: options.rewindEpochs }, { schedule: { kind: 'constant' } });
}

/**
 * A network trained with its mask held, made once in the life of a run (`checkpoint/<name>.onnx`).
 * Every training of a run sees the same batches in the same order, so that two of them differ in their masks only.
 */
export function trained(
  context: RunContext,
  name: string,
  start: Model,
  masks: ReadonlyMap<string, Float32Array>,
  { epochs, learningRate }: Pick<TicketOptions, 'epochs' | 'learningRate'>,
  rate: Partial<{ schedule: { kind: 'constant' } }> = {},
): Promise<Model> {
  const { config, prepared } = context;
  return savedModel(
    context,
    `${name}.onnx`,
    async () => {
      const source = trainingBatches(context, 'ticket');
      if (!source)
        throw new UserError(
          `method ${config.method.name} trains the masked network and has no samples to train on`,
          'Give the data a train part.',
        );
      const { schedule, decay, momentum, weightDecay, warmUpEpochs, labelSmoothing } = config.train ?? config.recovery;
      const common = tuningOptions(context, epochs, learningRate);
      // A ticket is trained as the network was: on labels alone, where there are any.
      const plain: Partial<FitOptions> = prepared.data.labelled ? { loss: { crossEntropy: 1, labelSmoothing }, teachers: undefined } : {};
      try {
        const { model } = await fitModel(applyMasks(start, masks), source, {
          ...common,
          ...plain,
          learningRate: {
            base: learningRate,
            schedule: schedule === 'exponential' ? { kind: 'exponential', factor: decay } : { kind: schedule },
            warmUpEpochs,
            ...rate,
          },
          momentum,
          weightDecay,
          masks,
          ...epochCheckpoints(context, name),
        });
        return applyMasks(model, masks);
      } finally {
        await source.close();
      }
    },
    [`${name}.bin`],
  );
}

/** Shares of the layers' weights that masks hold at zero. */
export const sparsityOf = (layers: readonly MaskableLayer[], masks: ReadonlyMap<string, Float32Array>): Record<string, number> =>
  Object.fromEntries(
    layers.flatMap(({ layer }) => {
      const mask = masks.get(layer.weight);
      return mask ? [[layer.name, mask.reduce((n, m) => n + (m === 0 ? 1 : 0), 0) / mask.length]] : [];
    }),
  );

/** Share of all maskable weights that masks hold at zero. */
export function sparsityOfAll(layers: readonly MaskableLayer[], masks: ReadonlyMap<string, Float32Array>): number {
  const shares = sparsityOf(layers, masks);
  return overallSparsity(
    layers,
    layers.map((l) => shares[l.layer.name] ?? 0),
  );
}

export function costOf({ prepared }: RunContext, model: Model): ModelCost {
  const { layers: _, ...cost } = countCosts(model);
  return { ...cost, channels: prepared.groups.reduce((sum, g) => sum + g.channels, 0) };
}

const roundKey = (id: string): string => `round:${id}`;

/** True where an earlier process of the run has scored the round. */
export const roundIsKnown = ({ recorder }: RunContext, id: string): boolean => recorder.journal.recall(roundKey(id)) !== undefined;

/**
 * Scores a trained network on the search samples, once in the life of a run, and enters it as a candidate. The best so far is always on disk.
 */
export async function enterRound(context: RunContext, id: string, episode: number, model: Model, policy: Policy): Promise<Candidate> {
  const { config, prepared, recorder, folder, cores, signal } = context;
  const candidate = await recorder.once<Candidate>(roundKey(id), async () => {
    const accuracy = await accuracyOf(model, prepared.data.search, { threads: cores, signal });
    const made: Candidate = {
      id,
      stage: 'prune',
      policy,
      accuracy,
      images: prepared.data.search.count,
      cost: costOf(context, model),
      reward: accuracy,
      episode,
      origin: config.method.name,
      partial: false,
    };
    recorder.candidate(made);
    recorder.write({ type: 'episode', episode, actor: 0, reward: accuracy, accuracy, flops: made.cost.macs, policy, candidate: id });
    recorder.writeFront();
    return made;
  });
  recorder.restore(candidate);
  saveModel(model, folder.best('model.onnx'));
  folder.writeJson(folder.best('policy.json'), candidate);
  return candidate;
}

export interface RandomBaseline {
  readonly masks: ReadonlyMap<string, Float32Array>;
  readonly model: Model;
  /** On the search and on the report samples. */
  readonly search: number;
  readonly report: number;
}

/** The same network with a mask drawn at random, as sparse in every layer, trained in the same way. */
export async function randomBaseline(
  context: RunContext,
  start: Model,
  masks: ReadonlyMap<string, Float32Array>,
  options: TicketOptions,
  draw: (name: string, mask: Float32Array, random: Random) => Float32Array = (_, mask, random) => shuffledMask(mask, random),
): Promise<RandomBaseline> {
  const random = new Random(context.config.seed).fork('random mask');
  const drawn = new Map([...masks].map(([name, mask]) => [name, draw(name, mask, random.fork(name))]));
  const model = await trained(context, 'random-mask', start, drawn, options);
  return { masks: drawn, model, ...(await bothAccuracies(context, 'random-mask', model)) };
}

/** On search and report samples, once in the life of a run. Nothing is chosen by the second. */
export function bothAccuracies(
  { prepared, recorder, cores, signal }: RunContext,
  name: string,
  model: Model,
): Promise<{ search: number; report: number }> {
  return recorder.once(`accuracy:${name}`, async () => ({
    search: await accuracyOf(model, prepared.data.search, { threads: cores, signal }),
    report: await accuracyOf(model, prepared.data.report, { threads: cores, signal }),
  }));
}

export interface TicketFigures {
  readonly method: string;
  readonly seed: number;
  readonly data: string;
  /** Share of the maskable weights that the mask holds at zero. */
  readonly sparsity: number;
  /** Accuracy on the report samples: the original, the ticket trained from the rewound weights, a random mask trained likewise. */
  readonly original: number;
  readonly ticket: number;
  readonly randomMask?: number;
  readonly reportImages: number;
}

/** Lines of the report that compare ticket and random mask; the same figures as `best/ticket.json`. */
export async function ticketSection(
  context: RunContext,
  layers: readonly MaskableLayer[],
  masks: ReadonlyMap<string, Float32Array>,
  ticket: Model,
  random: RandomBaseline | undefined,
): Promise<string[]> {
  const { config, prepared, folder } = context;
  const original = await bothAccuracies(context, 'original', prepared.model);
  const { report } = await bothAccuracies(context, 'ticket', ticket);
  const sparsity = sparsityOfAll(layers, masks);
  const figures: TicketFigures = {
    method: config.method.name,
    seed: config.seed,
    data: prepared.data.name,
    sparsity,
    original: original.report,
    ticket: report,
    ...(random && { randomMask: random.report }),
    reportImages: prepared.data.report.count,
  };
  folder.writeJson(folder.best('ticket.json'), figures);
  return [
    '## Lottery ticket',
    '',
    `| network | weights at zero | accuracy (${figures.reportImages} held-out samples) |`,
    '|---|---|---|',
    `| original, trained whole | 0 % | ${formatPercent(figures.original)} |`,
    `| ticket, trained from the rewound weights | ${formatPercent(sparsity)} | ${formatPercent(report)} |`,
    ...(random
      ? [`| random mask, trained likewise | ${formatPercent(sparsityOfAll(layers, random.masks))} | ${formatPercent(random.report)} |`]
      : []),
    '',
    'The mask is in `best/mask.json`; `"method": { "options": { "mask": "…" } }` trains it on other data.',
    '',
  ];
}
