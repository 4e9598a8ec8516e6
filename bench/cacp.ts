/**
 * CACP's promise: one search for 30, 50 and 70 % of ResNet-20's FLOPs instead of three AMC searches. Counted are the scorings until the best
 * complete candidate within each target is within half a point of the accuracy that AMC's search for that target ends with, beside what the
 * three AMC searches took: in all (`timesFewer`), and until they were as good themselves (`timesFewerThanUntil`). All have AMC's pruner;
 * accuracies are those of the search, on its own samples, before any training.
 *
 * `--scorings` (100) for each AMC search; a shared search has `--shared` (as many as the three have, divided by 2.5). Cells that are done are
 * kept in `--out`. Options: `--images` (search samples; all 2,000), `--targets 0.3,0.5,0.7`, `--methods cacp,conditional-ppo`.
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type CellResult, runCell, searchOf } from '../src/engine/compare/cell';
import { comparedWithSingle, scoringsUntil, type TargetCurves } from '../src/engine/compare/scorings-until';
import { spread } from '../src/engine/compare/summary';
import { readJournal } from '../src/engine/search/journal';
import { RunFolder } from '../src/engine/search/run-folder';
import { type Config, type ConfigInput, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, IMAGENET, note, printRow, threadFiles } from './bench';

/** Of every search, so that they differ in their agents only. */
const AMC_PRUNING = { selection: 'l1', refit: false } as const;
/** Half a percentage point. */
const MARGIN = 0.005;
/** How many times fewer scorings are expected. */
const EXPECTED = 2.5;

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const { options } = args;
  const targets = (options['targets'] ?? '0.3,0.5,0.7').split(',').map(Number);
  const scorings = Number(options['scorings'] ?? 100);
  const shared = Number(options['shared'] ?? Math.floor((targets.length * scorings) / EXPECTED));
  const out = resolve(options['out'] ?? join('.espalier', 'bench-cacp'));
  mkdirSync(out, { recursive: true });
  const run = { folder: out, dataFolder: data, threads: threadFiles };
  const configOf = (method: ConfigInput['method'], flops: number, most: number): Config =>
    configSchema.parse({
      model: join(data, 'models', 'cifar10_resnet20.onnx'),
      data: { name: 'cifar10', normalization: IMAGENET },
      method,
      goal: { flops },
      reward: 'accuracy',
      stages: { prune: true, quantize: false },
      // In steps of 8, which run fastest, the narrowest network with whole residual streams still has 30.5 % of the FLOPs.
      pruning: { reestimateBatchNorm: false, widthMultiple: 4, ...AMC_PRUNING },
      search: { scorings: most, actors: Number(options['actors'] ?? 1), ...(options['images'] && { images: Number(options['images']) }) },
      recovery: { epochs: 0 },
    });
  const methods = (options['methods'] ?? 'cacp,conditional-ppo').split(',');
  const ratios = new Map<string, number[]>();
  for (let seed = 1; seed <= args.seeds; seed++) {
    const middle = targets[Math.floor((targets.length - 1) / 2)];
    const singles: CellResult[] = [];
    for (const flops of targets) {
      const own = await runCell(configOf('amc', flops, scorings), { method: 'amc', seed }, join(out, 'runs', `flops-${flops}`), run);
      if (own.curve.length === 0) throw new Error(`AMC found no candidate within ${flops} of the FLOPs: give it more --scorings`);
      singles.push(own);
    }
    for (const method of methods) {
      const config = configOf({ name: method as 'cacp', options: { targets: targets.join(',') } }, middle, shared);
      const one = await runCell(config, { method, seed }, join(out, 'runs', 'shared'), run);
      const { events } = readJournal(new RunFolder(one.run).journal);
      const curves = targets.map((flops, i): TargetCurves => {
        const pair = { single: singles[i].curve, shared: searchOf(events, { ...config, goal: { ...config.goal, flops } }).curve };
        const wanted = pair.single[pair.single.length - 1][1] - MARGIN;
        printRow(args, {
          method,
          seed,
          flops,
          images: singles[i].searchImages,
          accuracy: 100 * (pair.shared.at(-1)?.[1] ?? 0),
          scorings: one.scorings,
          until: scoringsUntil(pair.shared, wanted) ?? 'not reached',
          amc: 100 * (singles[i].searchAccuracy ?? 0),
          amcScorings: singles[i].scorings,
          amcUntil: scoringsUntil(pair.single, wanted) ?? 0,
        });
        return pair;
      });
      const found = comparedWithSingle(curves, MARGIN);
      const timesFewer = found.shared === null ? undefined : singles.reduce((sum, c) => sum + c.scorings, 0) / found.shared;
      if (timesFewer !== undefined) ratios.set(method, [...(ratios.get(method) ?? []), timesFewer]);
      printRow(args, {
        method,
        seed,
        flops: 'all',
        until: found.shared ?? 'not reached',
        timesFewer: timesFewer ?? 'not reached',
        timesFewerThanUntil: found.ratio ?? 'not reached',
      });
    }
  }
  for (const method of methods) {
    const reached = ratios.get(method) ?? [];
    const median = reached.length > 0 ? `; median of those ${spread(reached).median.toFixed(2)} times fewer scorings` : '';
    note(`${method}: within half a point at every target in ${reached.length} of ${args.seeds} seeds${median} (expected: ${EXPECTED})`);
  }
}
