/**
 * Sensitivity: accuracy with one channel group pruned alone, at several ratios, and with one layer quantised alone, at several bit-widths;
 * on held-out samples, because on training samples a network stays near 100 % until a layer breaks. The code that prunes and quantises
 * is that of a run. What was measured is kept by content (model, samples, settings), so a scan that was stopped goes on where it was.
 */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../protocol/config';
import type { Sensitivity } from '../../protocol/layer-graph';
import { UserError } from '../errors';
import type { ChannelGroup } from '../graph/channel-group';
import { criteria, highestChannels } from '../importance/registry';
import { SequentialPruner } from '../pruning/prune-sequence';
import { keptChannels } from '../pruning/round-widths';
import { Random } from '../random';
import { accuracyOf, type ScoringSet } from '../runtime/evaluate';
import { firstTruth } from '../runtime/metrics';
import type { Prepared } from './prepare';
import { thisMachine } from './recorder';
import { SensitivityCache } from './sensitivity-cache';
import { createSensitivityPool, type SensitivityPool } from './sensitivity-pool';
import type { SensitivityUnit } from './sensitivity-unit';

export const SENSITIVITY_RATIOS: readonly number[] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
export const SENSITIVITY_BITS: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8];

export interface SensitivitySettings {
  /** Held-out samples that score a point. Default 1,000, or all there are. */
  readonly images?: number;
  readonly ratios?: readonly number[];
  readonly bits?: readonly number[];
  /** Only these groups and layers; absent: all. */
  readonly groups?: readonly string[];
  readonly layers?: readonly string[];
  /**
   * How channels are chosen: a criterion or one of the pruner's selections. Default 'l1', which takes no time, so that a scan shows
   * what a group alone can spare before anything is repaired.
   */
  readonly selection?: string;
  /** Rebuild the readers by least squares, as a run does. Slower: nothing is shared between points. Default false. */
  readonly reconstruct?: boolean;
  /** Widths are rounded as in a run ('auto') or to this multiple; 1 takes each ratio as it is. Default the config's. */
  readonly widthMultiple?: number | 'auto';
}

export interface SensitivityOptions extends SensitivitySettings {
  /** Folder of cached scans; absent: nothing is kept. */
  readonly cacheFolder?: string;
  /** Measures anew what is cached. */
  readonly refresh?: boolean;
  /** The bundled `sensitivity-thread.js`. */
  readonly threadFile?: string;
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** The scan as far as it is known, after every group and layer. */
  readonly onProgress?: (sensitivity: Sensitivity) => void;
}

/** Where scans of models in a folder are cached. */
export const sensitivityFolder = (folder: string): string => join(folder, '.espalier', 'sensitivity');

interface GroupPlan {
  readonly group: ChannelGroup;
  /** Distinct widths below the full one, each with the first ratio that leads to it. */
  readonly points: ReadonlyArray<{ readonly ratio: number; readonly keep: number }>;
}

/** @throws UserError where a group, layer or selection is not known; the signal's reason where it is aborted */
export async function scanSensitivity(prepared: Prepared, config: Config, options: SensitivityOptions = {}): Promise<Sensitivity> {
  const started = performance.now();
  const { model, data } = prepared;
  const set = firstSamples(data.search, options.images ?? 1000);
  const settings = {
    selection: options.selection ?? 'l1',
    reconstruct: options.reconstruct === true,
    widthMultiple: options.widthMultiple ?? config.pruning.widthMultiple,
  };
  const ratios = options.ratios ?? SENSITIVITY_RATIOS;
  const bits = options.bits ?? SENSITIVITY_BITS;
  const groups = chosen(prepared.groups, options.groups, (g) => g.id, 'channel group').map((g) => plan(g, ratios, settings.widthMultiple));
  const layers = chosen(prepared.layers, options.layers, (l) => l.name, 'layer');
  const cache = SensitivityCache.open(options.cacheFolder, {
    modelPath: prepared.modelPath,
    sha256: prepared.sha256,
    images: set.count,
    measure: data.labelled ? 'accuracy' : 'agreement',
    conditions: { data: data.name, selection: settings.selection, reconstruct: settings.reconstruct, machine: describeMachine() },
    key: contentKey(prepared, set, settings, config),
  });
  if (options.refresh) cache.clear();

  const result = (): Sensitivity => {
    const groupPoints = groups.map(({ group, points }) => ({
      group: group.id,
      points: points.flatMap(({ ratio, keep }) => {
        const accuracy = cache.get(groupKey(group.id, keep));
        return accuracy === undefined ? [] : [{ ratio, channels: keep, accuracy }];
      }),
    }));
    const layerPoints = layers.map((l) => ({
      layer: l.name,
      points: bits.flatMap((b) => {
        const accuracy = cache.get(layerKey(l.name, b));
        return accuracy === undefined ? [] : [{ bits: b, accuracy }];
      }),
    }));
    const count = (lists: ReadonlyArray<{ points: readonly unknown[] }>): number => lists.reduce((a, l) => a + l.points.length, 0);
    return {
      modelPath: prepared.modelPath,
      sha256: prepared.sha256,
      baseline: cache.get(BASELINE) ?? 0,
      images: set.count,
      measure: data.labelled ? 'accuracy' : 'agreement',
      conditions: cache.conditions,
      groups: groupPoints.filter((g) => g.points.length > 0),
      layers: layerPoints.filter((l) => l.points.length > 0),
      done: count(groupPoints) + count(layerPoints),
      total: count(groups) + layers.length * bits.length,
      seconds: (performance.now() - started) / 1000,
    };
  };

  const threads = options.threads ?? config.threads ?? availableParallelism();
  let pool: SensitivityPool | undefined;
  const score = (unit: SensitivityUnit): Promise<number[]> => {
    pool ??= createSensitivityPool(model, set, { threads, threadFile: options.threadFile, signal: options.signal });
    return abortable(pool.score(unit), options.signal);
  };
  let before: Promise<void> = Promise.resolve();
  /** Asks for a unit before the last one is answered, so that no thread waits for another. */
  const ask = async (unit: SensitivityUnit, keep: (right: readonly number[]) => void): Promise<void> => {
    const answered = score(unit).then((right) => {
      keep(right);
      options.onProgress?.(result());
    });
    // A failure is met where it is waited for.
    answered.catch(() => {});
    await before;
    before = answered;
  };
  const chooser = new ChannelChooser(prepared, config, settings, threads, options.signal);
  try {
    options.signal?.throwIfAborted();
    if (cache.get(BASELINE) === undefined) {
      cache.put([{ key: BASELINE, accuracy: (await score({ kind: 'baseline' }))[0] / set.count }]);
    }
    for (const { group, points } of groups) {
      options.signal?.throwIfAborted();
      const missing = points.filter((p) => cache.get(groupKey(group.id, p.keep)) === undefined);
      if (missing.length === 0) continue;
      if (settings.reconstruct) {
        for (const { keep, ratio } of missing) {
          cache.put([{ key: groupKey(group.id, keep), accuracy: await chooser.reconstructedAccuracy(group, keep, set), ratio }]);
        }
        options.onProgress?.(result());
      } else {
        const kept: number[][] = [];
        for (const p of missing) kept.push(await chooser.kept(group, p.keep));
        await ask({ kind: 'group', group: group.id, kept }, (right) => {
          cache.put(missing.map(({ keep, ratio }, i) => ({ key: groupKey(group.id, keep), accuracy: right[i] / set.count, ratio })));
        });
      }
    }
    for (const { name } of layers) {
      options.signal?.throwIfAborted();
      const missing = bits.filter((b) => cache.get(layerKey(name, b)) === undefined);
      if (missing.length === 0) continue;
      await ask({ kind: 'layer', layer: name, bits: missing }, (right) => {
        cache.put(missing.map((b, i) => ({ key: layerKey(name, b), accuracy: right[i] / set.count })));
      });
    }
    await before;
    return result();
  } finally {
    await pool?.dispose();
    await chooser.release();
  }
}

const BASELINE = 'baseline';
const groupKey = (group: string, keep: number): string => `group:${group}:${keep}`;
const layerKey = (layer: string, bits: number): string => `layer:${layer}:${bits}`;

function describeMachine(): string {
  const { cpu, cores, platform, architecture } = thisMachine();
  return `${cpu}, ${cores} cores, ${platform} ${architecture}`;
}

function chosen<T>(all: readonly T[], wanted: readonly string[] | undefined, nameOf: (item: T) => string, what: string): readonly T[] {
  if (!wanted) return all;
  for (const name of wanted)
    if (!all.some((item) => nameOf(item) === name))
      throw new UserError(`there is no ${what} '${name}'`, `Known: ${all.map(nameOf).join(', ') || 'none'}.`);
  return all.filter((item) => wanted.includes(nameOf(item)));
}

function plan(group: ChannelGroup, ratios: readonly number[], widthMultiple: number | 'auto'): GroupPlan {
  const points: Array<{ ratio: number; keep: number }> = [];
  for (const ratio of [...ratios].sort((a, b) => a - b)) {
    const keep = keptChannels(group, ratio, widthMultiple);
    if (keep < group.channels && !points.some((p) => p.keep === keep)) points.push({ ratio, keep });
  }
  return { group, points };
}

function firstSamples(set: ScoringSet, count: number): ScoringSet {
  if (set.count <= count) return set;
  const size = set.inputs.length / set.count;
  const truth = set.truth && firstTruth(set.truth, count);
  return { ...set, inputs: set.inputs.subarray(0, count * size), labels: set.labels.subarray(0, count), count, truth };
}

/** Chooses the channels that stay, as a run would. */
class ChannelChooser {
  private pruner?: SequentialPruner;

  constructor(
    private readonly prepared: Prepared,
    private readonly config: Config,
    private readonly settings: { readonly selection: string; readonly reconstruct: boolean },
    private readonly threads: number,
    private readonly signal?: AbortSignal,
  ) {}

  async kept(group: ChannelGroup, keep: number): Promise<number[]> {
    const { selection } = this.settings;
    const criterion = criteria.get(selection);
    if (criterion) {
      const random = new Random(this.config.seed).fork('sensitivity').fork(group.id);
      return highestChannels(criterion.score(group, this.prepared.model, random), keep);
    }
    const pruner = await this.sequence();
    pruner.reset();
    return [...(await pruner.prune(group.id, { keep })).kept];
  }

  async reconstructedAccuracy(group: ChannelGroup, keep: number, set: ScoringSet): Promise<number> {
    const pruner = await this.sequence();
    pruner.reset();
    await pruner.prune(group.id, { keep });
    return accuracyOf(await pruner.finished(), set, { threads: this.threads, signal: this.signal });
  }

  async release(): Promise<void> {
    await this.pruner?.release();
  }

  private async sequence(): Promise<SequentialPruner> {
    const { model, groups, data } = this.prepared;
    const { selection, reconstruct } = this.settings;
    this.pruner ??= await SequentialPruner.create(model, groups, data.calibration, new Random(this.config.seed).fork('sensitivity'), {
      selection,
      reconstruct,
      positions: this.config.pruning.positions,
      threads: this.threads,
      signal: this.signal,
    });
    return this.pruner;
  }
}

/** Everything that a point's accuracy depends on, as one hash. */
function contentKey(
  prepared: Prepared,
  set: ScoringSet,
  settings: { readonly selection: string; readonly reconstruct: boolean },
  config: Config,
): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ format: 1, model: prepared.sha256, shape: set.shape, count: set.count, ...pick(settings) }));
  hash.update(bytesOf(set.inputs));
  hash.update(bytesOf(set.labels));
  if (set.truth) {
    hash.update(set.truth.metric);
    for (const o of set.truth.outputs) hash.update(bytesOf(o.values));
  }
  if (settings.reconstruct || !criteria.has(settings.selection)) {
    const { inputs } = prepared.data.calibration;
    hash.update(JSON.stringify({ seed: config.seed, positions: config.pruning.positions }));
    hash.update(bytesOf(inputs));
  } else if (settings.selection === 'random') hash.update(JSON.stringify({ seed: config.seed }));
  return hash.digest('hex');
}

const pick = ({ selection, reconstruct }: { readonly selection: string; readonly reconstruct: boolean }) => ({ selection, reconstruct });
const bytesOf = (a: Float32Array | Int32Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

/** Gives up waiting when the signal comes: the pool is then disposed of, whatever it does. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
