/**
 * All methods beside each other at equal numbers of candidate scorings, without training after the search: ResNet-20 on CIFAR-10 at half
 * its FLOPs, LeNet-5 on MNIST at a tenth of its parameters, ResNet-56 at half its FLOPs (four methods). Cells that are done are kept in
 * `bench/kept/methods.jsonl` (`--kept FILE`), which is part of the repository, and those in progress in `--out`: the command fills what is
 * missing and may be stopped at any time. It writes the tables to `docs/comparison.md` beside the bundle's folder. `--quick`: fewer methods,
 * seeds and scorings, under half an hour on two cores, the tables in `--out`. `--scorings`, `--seeds`, `--nets` and `--methods` choose by hand; `--all-images`
 * reconstructs on as many images as a run does; `--fresh` measures all of it anew; `--kept-only` measures nothing.
 *
 * Methods that choose widths all have the reward `accuracy` (the budget bounds what they may do); those that hold weights at zero, decide
 * filter by filter or take layers out have their papers' rewards and train their candidates, which the table says.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type CellFailure, type CellResult, cellName } from '../src/engine/compare/cell';
import { compareMethods } from '../src/engine/compare/compare';
import { noted, summaryRows } from '../src/engine/compare/comparison-report';
import { frontsChart } from '../src/engine/compare/fronts-chart';
import { summarize } from '../src/engine/compare/summary';
import { methods } from '../src/engine/methods/registry';
import { trainBaseline } from '../src/engine/search/train-baseline';
import { type ConfigInput, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, IMAGENET, note, printRow, threadFiles } from './bench';
import { type KeptCell, KeptCells, settingsOf } from './kept-cells';

const FEW = ['episodic-ppo', 'amc', 'random-search', 'uniform'];
/** Some cells show what a criterion adds to uniform ratios. */
const QUICK = [...FEW, 'two-stage-ppo', 'evolutionary', 'l1'];

/** Options that say where things are, not what is measured. */
const PLACES: ReadonlySet<string> = new Set(['data', 'out', 'docs', 'json', 'kept', 'kept-only', 'fresh']);
/**
 * Reconstruction takes most of a cell's time where there are few scorings. Cells that are kept are from before the margin: the form of the
 * search stays wherever it scores higher, which a run no longer does.
 */
const FEW_IMAGES = { calibrationImages: 500, final: { calibrationImages: 2000, margin: 0 } };

interface Net {
  readonly name: string;
  readonly title: string;
  readonly config: ConfigInput;
  readonly scorings: number;
  readonly quickScorings: number;
  readonly methods: readonly string[];
  /** Images for reconstruction; absent: `FEW_IMAGES`. */
  readonly fewImages?: ConfigInput['pruning'];
  /** Training images that methods train their candidates on, unless all are asked for; absent: all. */
  readonly fewTrainingImages?: number;
  /** What `lottery-mdp` is to delete: whole rows cannot go as far as single weights, and an episode has as many scorings as steps. Absent: the method's defaults. */
  readonly rows?: { readonly sparsity: number; readonly steps: number };
}

function nets(data: string, work: string): Net[] {
  const cifar = (model: string): ConfigInput => ({
    model: join(data, 'models', model),
    data: { name: 'cifar10', normalization: IMAGENET },
    goal: { flops: 0.5 },
    pruning: { reestimateBatchNorm: false },
  });
  const all = methods.map((m) => m.name);
  return [
    {
      name: 'resnet20',
      title: 'ResNet-20, CIFAR-10, half of the FLOPs',
      config: cifar('cifar10_resnet20.onnx'),
      scorings: 40,
      quickScorings: 24,
      methods: all,
      // An epoch of the whole network on all 50,000 takes a core a quarter of an hour, and some methods train for five.
      fewTrainingImages: 10_000,
      rows: { sparsity: 0.5, steps: 8 },
    },
    {
      name: 'lenet5',
      title: 'LeNet-5, MNIST, a tenth of the parameters',
      config: { model: join(work, 'lenet5.onnx'), data: { name: 'mnist' }, goal: { params: 0.1 } },
      scorings: 40,
      quickScorings: 24,
      methods: all,
      rows: { sparsity: 0.75, steps: 8 },
    },
    {
      name: 'resnet56',
      title: 'ResNet-56, CIFAR-10, half of the FLOPs',
      config: cifar('cifar10_resnet56.onnx'),
      scorings: 24,
      quickScorings: 0,
      methods: FEW,
      // What is expected of it is expected of a whole run's last reconstruction.
      fewImages: { calibrationImages: FEW_IMAGES.calibrationImages, final: { margin: 0 } },
    },
  ];
}

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const flag = (name: string): boolean => args.options[name] === 'true';
  const quick = flag('quick');
  const fewImages = !flag('all-images');
  const out = resolve(args.options['out'] ?? join('.espalier', quick ? 'bench-methods-quick' : 'bench-methods'));
  const seeds = Array.from({ length: Number(args.options['seeds'] ?? (quick ? 2 : 3)) }, (_, i) => i + 1);
  mkdirSync(out, { recursive: true });
  if (!flag('kept-only')) await lenetBaseline(out, data);
  const kept = new KeptCells(args.options['kept'] ?? join(__dirname, '..', 'bench', 'kept', 'methods.jsonl'));
  const sections: string[] = [];
  const used: KeptCell[] = [];
  const wanted = args.options['nets']?.split(',');
  for (const net of nets(data, out)) {
    const scorings = Number(args.options['scorings'] ?? (quick ? net.quickScorings : net.scorings));
    if (scorings === 0 || (wanted && !wanted.includes(net.name))) continue;
    const names = args.options['methods']?.split(',') ?? (quick ? net.methods.filter((m) => QUICK.includes(m)) : net.methods);
    const cells: KeptCell[] = [];
    for (const part of ['widths', 'codes', 'rows', 'others'] as const) {
      const own = names.filter((name) => partOf(name) === part);
      const trained = part !== 'widths' && fewImages ? net.fewTrainingImages : undefined;
      const config: ConfigInput = {
        ...net.config,
        ...(trained !== undefined && { data: { ...net.config.data, splits: { train: { set: 'train', count: trained } } } }),
        pruning: { ...net.config.pruning, ...(fewImages && (net.fewImages ?? FEW_IMAGES)) },
        ...(part === 'widths' && { reward: 'accuracy' }),
        ...(part === 'rows' && net.rows && { method: { name: 'lottery-mdp', options: net.rows } }),
        stages: { prune: true, quantize: false },
        search: { scorings, actors: 2 },
        // Deep Compression is pruning and retraining in turn.
        recovery: { epochs: part === 'codes' ? 1 : 0 },
      };
      const settings = settingsOf(config);
      // Seeds of earlier calls count as well, whatever this one asks for.
      const there = flag('fresh') ? [] : kept.of(net.name, settings, own);
      cells.push(...there);
      for (const seed of seeds) {
        const missing = own.filter((method) => !there.some(({ result: r }) => r.method === method && r.seed === seed));
        if (missing.length === 0 || flag('kept-only')) continue;
        const folder = join(out, net.name, part);
        // What the searches found by their scores is compared. Kept cells are from before there were finalists, and are asked for alike.
        const { pruning } = config;
        const asked = { ...config, pruning: { ...pruning, final: { ...pruning?.final, finalists: 1 } } };
        await compareMethods(configSchema.parse(asked), {
          methods: missing,
          seeds: [seed],
          out: folder,
          folder: out,
          dataFolder: data,
          threads: threadFiles,
          onResult: (r) => {
            cells.push(kept.add(net.name, settings, r));
            // Else a cell whose line is deleted would be read from its old run.
            rmSync(join(folder, 'runs', cellName(r)), { recursive: true, force: true });
            show(args, net.name, r);
          },
        });
      }
    }
    used.push(...cells);
    if (cells.length === 0) continue;
    const measured = cells.flatMap(({ result }) => ('error' in result ? [] : [result]));
    const failures = cells.flatMap(({ result }) => ('error' in result ? [result] : []));
    sections.push(...section(net, { scorings, fewImages }, measured, failures));
    if (measured.length > 0) writeFileSync(join(out, `${net.name}.svg`), frontsChart(measured));
  }
  const docs = args.options['docs'] ?? (quick ? join(out, 'comparison.md') : join(__dirname, '..', 'docs', 'comparison.md'));
  if (docs !== 'none') writeFileSync(docs, page(args, { quick, fewImages }, sections, used));
  note(`cells in progress and charts: ${out}`);
}

function partOf(name: string): 'widths' | 'codes' | 'rows' | 'others' {
  const space = methods.find((m) => m.name === name)?.space ?? 'widths';
  return space === 'widths' || space === 'codes' || space === 'rows' ? space : 'others';
}

function show(args: BenchArguments, net: string, r: CellResult | CellFailure): void {
  if ('error' in r) {
    note(`${net}: ${r.method}, seed ${r.seed}: ${r.error}`);
    return;
  }
  printRow(args, {
    net,
    method: r.method,
    seed: r.seed,
    accuracy: 100 * r.accuracy,
    flops: 100 * r.effectiveFlops,
    params: 100 * r.effectiveParams,
    scorings: r.scorings,
    completePolicies: r.completePolicies,
    trainingSteps: r.trainingSteps,
    seconds: r.seconds,
    scoringsToBest: r.scoringsToBest ?? 0,
  });
}

function section(
  net: Net,
  { scorings, fewImages }: { readonly scorings: number; readonly fewImages: boolean },
  results: readonly CellResult[],
  failures: readonly CellFailure[],
): string[] {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const [head, ...rows] = summaryRows(summarize(results));
  const [first] = results;
  const { final } = configSchema.parse({ ...net.config, pruning: net.fewImages ?? FEW_IMAGES }).pruning;
  const images = [
    ...(fewImages && net.fewImages ? [` Chosen networks are reconstructed on ${final.calibrationImages} images.`] : []),
    ...(fewImages && net.fewTrainingImages ? [` Methods that train do so on ${net.fewTrainingImages} images.`] : []),
    ...(net.rows && results.some((r) => r.method === 'lottery-mdp')
      ? [` \`lottery-mdp\` deletes whole rows, ${100 * net.rows.sparsity} % of the weights in ${net.rows.steps} steps.`]
      : []),
  ];
  return [
    `## ${net.title}`,
    '',
    ...(first
      ? [
          `${scorings} scorings on ${first.searchImages} samples; accuracy of the written file on ${first.reportImages} others, where the original has ${(100 * first.originalAccuracy).toFixed(2)} %.${images.join('')}`,
          '',
          row(head),
          row(head.map(() => '---')),
          ...rows.map(row),
          '',
          ...noted(results),
        ]
      : []),
    ...[...new Set(failures.map((f) => `- not run: ${f.method}: ${f.error}`))],
    ...(failures.length > 0 ? [''] : []),
  ];
}

function page(
  args: BenchArguments,
  { quick, fewImages }: { readonly quick: boolean; readonly fewImages: boolean },
  sections: readonly string[],
  cells: readonly KeptCell[],
): string {
  const flags = Object.entries(args.options).flatMap(([key, value]) =>
    PLACES.has(key) ? [] : [value === 'true' ? ` --${key}` : ` --${key} ${value}`],
  );
  const dates = cells.map((c) => c.date).sort();
  return [
    '# Methods compared',
    '',
    `Written by \`npm run bench -- methods --data DIR${flags.join('')}\`${quick ? ', a subset of methods, seeds and scorings' : ''}${fewImages ? `; layers reconstructed on ${FEW_IMAGES.calibrationImages} images, those of the chosen networks on ${FEW_IMAGES.final.calibrationImages}, where that scores no lower on the search's samples (\`pruning.final.margin\` 0; \`finalists\` 1)` : ''}. Every method gets the same number of candidate scorings (partial policies included) on the same samples; nothing is trained after the search. Median over seeds, lowest and highest in brackets; MACs and parameters count what is not zero. "Goal met": in how many seeds; those that met it come first. "Better than": in how many seeds it met the goal and was more accurate with the same seed, or the other missed the goal. Methods with training steps train their candidates before they score them, which the others do not.`,
    '',
    ...sections,
    ...(cells.length > 0
      ? [
          `${cells.length} cells, measured from ${dates[0]} to ${dates.at(-1)} on ${[...new Set(cells.map((c) => c.machine))].join('; ')}. Times are of machines that had other work as well${dates[0] <= '2026-11-30' ? ', those until 2026-11-30 on all cores where one thread can be quicker at batch 1' : ''}.${cells.some((c) => c.net.startsWith('resnet') && c.date <= '2026-12-01') ? ' In the ResNets of cells until 2026-12-01 widths were multiples of 8.' : ''}`,
          '',
        ]
      : []),
  ].join('\n');
}

/** LeNet-5 trained on the usual MNIST images, once. */
async function lenetBaseline(folder: string, dataFolder: string): Promise<void> {
  if (existsSync(join(folder, 'lenet5.onnx'))) return;
  const train = { architecture: 'lenet5', epochs: 3, batch: 64, learningRate: 0.02 };
  await trainBaseline(configSchema.parse({ model: 'lenet5.onnx', data: { name: 'mnist' }, train }), { folder, dataFolder });
}
