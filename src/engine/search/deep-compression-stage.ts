/**
 * Deep Compression (Han, Mao, Dally 2016): weights are pruned by magnitude and the rest retrained, round after round; what is left of each
 * layer shares a few values, which are fine-tuned; indices and places are Huffman coded. What is stored after each step lies on disk.
 */
import { readFileSync, statSync } from 'node:fs';
import { absoluteBudget } from '../../protocol/config';
import { overrideFor } from '../../protocol/layer-overrides';
import type { Candidate } from '../../protocol/policy';
import { UserError } from '../errors';
import { asOnnxFile } from '../formats/registry';
import { type Layer, quantizableLayers } from '../graph/layers';
import { foldBatchNorm } from '../graph/passes/fold-batch-norm';
import { type MethodOptions, ownOptions } from '../methods/options';
import { type Model, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { deviationShares } from '../pruning/magnitude-schedule';
import { applyMasks, magnitudeMask } from '../pruning/weight-masks';
import { type Coding, decodeModel, encodeModel } from '../quantization/deep-compression-file';
import { type CentroidStart, kMeans } from '../quantization/k-means';
import { Random } from '../random';
import { accuracyOf } from '../runtime/evaluate';
import { tuneSharedWeights } from '../training/codebook-tuning';
import { fitModel } from '../training/fit';
import { writeFileAtomic } from './atomic-file';
import { formatBytes, formatPercent } from './figures';
import type { PruneStageResult } from './prune-stage';
import { epochCheckpoints, trainingBatches, trainingStepsOf, tuningOptions } from './recover';
import type { RunContext, StageEnd } from './run-context';
import { savedModel } from './saved-model';
import {
  bothAccuracies,
  enterRound,
  type MaskableLayer,
  maskableLayers,
  roundIsKnown,
  sparsityOf,
  sparsityWithinFlops,
  wantedSparsity,
} from './ticket-training';

export interface DeepCompressionOptions {
  /** Share of all weights that is gone after the last round. */
  readonly sparsity: number;
  readonly rounds: number;
  /** Retraining after each round. */
  readonly epochs: number;
  readonly learningRate: number;
  /** Bits of an index into the code book: 2^bits values share a layer (the paper: 8 and 5). */
  readonly convolutionBits: number;
  readonly linearBits: number;
  readonly start: CentroidStart;
  readonly codebookEpochs: number;
  readonly codebookLearningRate: number;
}

/** @throws UserError where an option has another type, or cannot be */
export function deepCompressionOptions(context: Pick<RunContext, 'config' | 'prepared'>): DeepCompressionOptions {
  const { config } = context;
  const { recovery } = config;
  const options = ownOptions(config.method.options as MethodOptions, {
    sparsity: wantedSparsity(context),
    rounds: 3,
    epochs: recovery.epochs,
    learningRate: recovery.learningRate,
    convolutionBits: 8,
    linearBits: 5,
    start: 'linear',
    codebookEpochs: 1,
    codebookLearningRate: 1e-4,
  });
  const refuse = (name: string, wanted: string): never => {
    throw new UserError(`method.options.${name} is ${JSON.stringify(config.method.options[name])}`, `Give ${wanted}.`);
  };
  const { start } = options;
  if (start !== 'linear' && start !== 'k-means++') return refuse('start', '"linear" or "k-means++"');
  if (!(options.sparsity >= 0 && options.sparsity < 1)) refuse('sparsity', 'a share of the weights from 0 to below 1');
  for (const name of ['convolutionBits', 'linearBits'] as const)
    if (!(Number.isInteger(options[name]) && options[name] >= 1 && options[name] <= 8)) refuse(name, 'a whole number from 1 to 8');
  for (const [name, least] of [
    ['rounds', 1],
    ['epochs', 0],
    ['codebookEpochs', 0],
  ] as const)
    if (!(Number.isInteger(options[name]) && options[name] >= least)) refuse(name, `a whole number of at least ${least}`);
  return { ...options, start };
}

/** Bytes on disk and accuracy after each step; `best/deep-compression.json`. */
export interface DeepCompressionFigures {
  readonly steps: ReadonlyArray<{
    readonly step: 'original' | 'pruned' | 'shared' | 'huffman';
    readonly file: string;
    readonly bytes: number;
    /** On the report samples, of the decoded file. */
    readonly accuracy: number;
  }>;
  readonly images: number;
}

export async function deepCompressionStage(context: RunContext): Promise<PruneStageResult> {
  const { config, prepared, folder, recorder } = context;
  const options = deepCompressionOptions(context);
  const layers = maskableLayers(context);
  let model = prepared.model;
  let best: Candidate | undefined;
  let end: StageEnd = 'complete';
  let rounds = 0;
  if (config.stages.prune) {
    const most = Math.max(1, Math.min(options.rounds, config.search.scorings ?? Number.POSITIVE_INFINITY));
    recorder.phase('prune', most);
    for (; rounds < most; rounds++) {
      const id = `p-round-${rounds + 1}`;
      // A resumed run takes up what it had finished, however late it is.
      if (rounds > 0 && !roundIsKnown(context, id) && context.expired()) {
        end = 'time-limit';
        break;
      }
      const planned = 1 - (1 - options.sparsity) ** ((rounds + 1) / most);
      const last = rounds === most - 1;
      const sparsity = last ? sparsityWithinFlops(context, layers, planned, (s) => sharesBelow(model, layers, s)) : planned;
      const masks = masksBelow(model, layers, sparsity);
      model = await retrained(context, id, model, masks, options);
      best = await enterRound(context, id, rounds, model, { ratios: {}, bits: {}, sparsity: sparsityOf(layers, masks) });
      recorder.update({ episode: rounds + 1, episodes: most, best }, true);
    }
  }
  const pruned = foldBatchNorm(model).model;
  const policy = best?.policy ?? { ratios: {}, bits: {} };
  const counted = { scorings: rounds, completePolicies: rounds, updates: 0, end, targets: [] };
  const pruningSteps = trainingStepsOf(context, rounds * options.epochs);
  if (!config.stages.quantize) return { ...counted, trainingSteps: pruningSteps, best, model: pruned, policy, trained: true, section: [] };

  recorder.phase('quantize');
  const weights = quantizableLayers(pruned).map((l) => l.weight);
  const { bits, model: shared } = withinBytes(context, options, pruned, weights);
  const tuned = await tunedCodebooks(context, options, shared, bits);
  const written: Array<[Coding, Model, string]> = [
    ['floats', pruned, 'pruned.esdc'],
    ['indices', tuned, 'shared.esdc'],
    ['huffman', tuned, 'model.esdc'],
  ];
  for (const [coding, source, file] of written) writeFileAtomic(folder.best(file), encodeModel(source, weights, coding));
  // What goes on from here is what the file holds.
  const decoded = decodeModel(readFileSync(folder.best('model.esdc')));
  const figures = await figuresOf(
    context,
    written.map(([, , file]) => file),
  );
  folder.writeJson(folder.best('deep-compression.json'), figures);
  return {
    ...counted,
    trainingSteps: pruningSteps + (bits.length > 0 ? trainingStepsOf(context, options.codebookEpochs) : 0),
    best,
    model: decoded,
    policy: { ...policy, bits: Object.fromEntries(bits.map(({ layer, bits: own }) => [layer.name, own])) },
    trained: true,
    storedBytes: figures.steps[figures.steps.length - 1].bytes,
    section: sectionOf(figures),
  };
}

/** Masks of all layers by one threshold in standard deviations; what was masked before stays so. */
function masksBelow(model: Model, layers: readonly MaskableLayer[], sparsity: number): Map<string, Float32Array> {
  const shares = sharesBelow(model, layers, sparsity);
  return new Map(layers.map(({ layer }, i) => [layer.weight, magnitudeMask(weightsOf(model, layer), shares[i])]));
}

/** Shares of the layers' weights that such masks take. */
const sharesBelow = (model: Model, layers: readonly MaskableLayer[], sparsity: number): number[] =>
  deviationShares(
    layers,
    layers.map(({ layer }) => weightsOf(model, layer)),
    sparsity,
  );

const weightsOf = (model: Model, { weight }: Layer): Float32Array => model.graph.initializers.get(weight)!.floats();

/** Fine-tuned with the masks held; as it was where there is nothing to train on, or no epoch to do it. */
function retrained(
  context: RunContext,
  name: string,
  model: Model,
  masks: ReadonlyMap<string, Float32Array>,
  options: DeepCompressionOptions,
): Promise<Model> {
  return savedModel(
    context,
    `${name}.onnx`,
    async () => {
      const masked = applyMasks(model, masks);
      const source = options.epochs > 0 ? trainingBatches(context, name) : undefined;
      if (!source) return masked;
      try {
        const result = await fitModel(masked, source, {
          ...tuningOptions(context, options.epochs, options.learningRate),
          masks,
          ...epochCheckpoints(context, name),
        });
        return applyMasks(result.model, masks);
      } finally {
        await source.close();
      }
    },
    [`${name}.bin`],
  );
}

interface SharedLayer {
  readonly layer: Layer;
  readonly bits: number;
}

/** The layers that share, and with how many bits: those of the options within the bounds of the config's `layers`, less `fewer`. */
function sharedLayers({ config }: RunContext, options: DeepCompressionOptions, model: Model, fewer: number): SharedLayer[] {
  const seen = new Set<string>();
  return quantizableLayers(model).flatMap((layer): SharedLayer[] => {
    const override = overrideFor(config.layers, [layer.name, layer.weight.replace(/\.weight$/, '')]);
    if (override?.skip || (override?.bits ?? 8) > 8 || seen.has(layer.weight)) return [];
    seen.add(layer.weight);
    const wanted = (layer.kind === 'convolution' || layer.kind === 'depthwise' ? options.convolutionBits : options.linearBits) - fewer;
    const [least, most] = [override?.bits ?? override?.minBits ?? 1, override?.bits ?? override?.maxBits ?? 8];
    return [{ layer, bits: Math.min(most, Math.max(least, wanted)) }];
  });
}

/** Every layer's remaining weights at 2^bits values; fewer bits where the file would else exceed `goal.bytes`. */
function withinBytes(
  context: RunContext,
  options: DeepCompressionOptions,
  pruned: Model,
  weights: readonly string[],
): { bits: SharedLayer[]; model: Model } {
  const { config, prepared, recorder } = context;
  const limit = config.goal.bytes === undefined ? Number.POSITIVE_INFINITY : absoluteBudget(config.goal.bytes, prepared.costs.weightBytes);
  const most = Math.max(options.convolutionBits, options.linearBits);
  for (let fewer = 0; ; fewer++) {
    const bits = sharedLayers(context, options, pruned, fewer);
    const model = sharedModel(pruned, bits, options.start, new Random(config.seed).fork('centroids'));
    const bytes = encodeModel(model, weights, 'huffman').length;
    if (bytes <= limit) return { bits, model };
    if (fewer >= most - 1) {
      recorder.warning(
        `goal.bytes: the file takes ${bytes} bytes with the fewest values a layer, and ${Math.round(limit)} are allowed; a higher "sparsity" in "method.options" makes it smaller`,
      );
      return { bits, model };
    }
  }
}

/** The model with each layer's weights that are not zero replaced by the centroids of their clusters. */
export function sharedModel(model: Model, layers: readonly SharedLayer[], start: CentroidStart, random: Random): Model {
  const initializers = new Map(model.graph.initializers);
  for (const { layer, bits } of layers) {
    const tensor = initializers.get(layer.weight)!;
    const weights = tensor.floats();
    const { centroids, assignment } = kMeans(
      weights.filter((w) => w !== 0),
      2 ** bits,
      start,
      random.fork(layer.weight),
    );
    let next = 0;
    const shared = weights.map((w) => (w === 0 ? 0 : centroids[assignment[next++]]));
    initializers.set(layer.weight, Tensor.float32(layer.weight, tensor.dims, shared));
  }
  return withGraph(model, { initializers });
}

/** The shared values fine-tuned; as k-means left them where that scores better on the search samples. */
function tunedCodebooks(
  context: RunContext,
  options: DeepCompressionOptions,
  model: Model,
  layers: readonly SharedLayer[],
): Promise<Model> {
  const { prepared, cores, signal } = context;
  return savedModel(
    context,
    'shared.onnx',
    async () => {
      const source = options.codebookEpochs > 0 ? trainingBatches(context, 'codebooks') : undefined;
      if (!source || layers.length === 0) return model;
      try {
        const { model: tuned } = await tuneSharedWeights(
          model,
          layers.map((l) => l.layer.weight),
          source,
          { ...tuningOptions(context, options.codebookEpochs, options.codebookLearningRate), ...epochCheckpoints(context, 'codebooks') },
        );
        const score = (m: Model): Promise<number> => accuracyOf(m, prepared.data.search, { threads: cores, signal });
        return (await score(tuned)) >= (await score(model)) ? tuned : model;
      } finally {
        await source.close();
      }
    },
    ['codebooks.bin'],
  );
}

async function figuresOf(context: RunContext, files: readonly string[]): Promise<DeepCompressionFigures> {
  const { folder, prepared } = context;
  const names = ['pruned', 'shared', 'huffman'] as const;
  const steps: DeepCompressionFigures['steps'][number][] = [
    {
      step: 'original',
      file: prepared.modelPath,
      // As `finish` measures it: a folder, or a file without its weights, is not what is compressed.
      bytes: statSync(await asOnnxFile(prepared.modelPath, folder.best('original.onnx'))).size,
      accuracy: (await bothAccuracies(context, 'original', prepared.model)).report,
    },
  ];
  for (const [i, file] of files.entries()) {
    const bytes = readFileSync(folder.best(file));
    const { report } = await bothAccuracies(context, names[i], decodeModel(bytes));
    steps.push({ step: names[i], file, bytes: bytes.length, accuracy: report });
  }
  return { steps, images: prepared.data.report.count };
}

function sectionOf({ steps, images }: DeepCompressionFigures): string[] {
  const titles = {
    original: 'original',
    pruned: 'pruned and retrained: floats and their places',
    shared: 'shared values, fine-tuned: indices and places',
    huffman: 'Huffman coded',
  };
  const first = steps[0].bytes;
  return [
    '## Deep Compression, step by step',
    '',
    `| step | bytes on disk | of the original | accuracy (${images} held-out samples, from the file) |`,
    '|---|---|---|---|',
    ...steps.map(
      (s) => `| ${titles[s.step]} | ${formatBytes(s.bytes)} | ×${(first / s.bytes).toFixed(1)} smaller | ${formatPercent(s.accuracy)} |`,
    ),
    '',
    'The last is `best/model.esdc`; `best/model.onnx` holds the same weights as floats.',
    '',
  ];
}
