/**
 * The studies of Zhan, Lin, Cao ("Deep Model Compression Via Two-Stage Deep Reinforcement Learning") on a network of four layers on CIFAR-10,
 * and the lottery tickets of `bench/lottery.ts`. Writes docs/studies.md, each study between marks of its own, so that `--only` brings one
 * up to date and leaves the others. `--out FILE` writes elsewhere.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { type BenchArguments, dataFolder, note } from './bench';
import { bitsStudy } from './studies/bits';
import { calibrationStudy } from './studies/calibration';
import { lotteryStudy } from './studies/lottery-study';
import { type Study, type StudyContext, studyNetwork } from './studies/network';
import { noiseStudy } from './studies/noise';
import { policyStudy } from './studies/pruning-rates';
import { singleLayerStudy } from './studies/single-layer';

const STUDIES: Readonly<Record<string, { readonly title: string; readonly study: Study }>> = {
  layers: { title: 'One layer alone: variational, LASSO, magnitude', study: singleLayerStudy },
  rates: { title: 'Pruning by 30, 50 and 70 %', study: policyStudy },
  bits: { title: 'Bits by layer beside 8 bits everywhere', study: bitsStudy },
  noise: { title: 'Noise of information dropout beside a log-normal', study: noiseStudy },
  calibration: { title: 'Images that reconstruction needs', study: calibrationStudy },
  lottery: { title: 'Lottery tickets', study: lotteryStudy },
};

/** Options that say where things are, not what is measured. */
const PLACES: ReadonlySet<string> = new Set(['data', 'out', 'work', 'json']);

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const only = args.options['only']?.split(',');
  for (const name of only ?? [])
    if (!STUDIES[name]) throw new Error(`there is no study '${name}'; there are ${Object.keys(STUDIES).join(', ')}`);
  const path = resolve(args.options['out'] ?? 'docs/studies.md');
  const work = resolve(args.options['work'] ?? join('node_modules', '.cache', 'espalier-studies'));
  mkdirSync(work, { recursive: true });
  const context: StudyContext = { data, work, args, network: () => studyNetwork({ data, work, args }) };
  for (const [name, { title, study }] of Object.entries(STUDIES)) {
    if (only && !only.includes(name)) continue;
    const from = performance.now();
    note(`${name}: ${title}`);
    const lines = await study(context);
    const seconds = ((performance.now() - from) / 1000).toFixed(0);
    const settings = Object.entries(args.options).filter(([key]) => !PLACES.has(key) && key !== 'only');
    const flags = settings.map(([key, value]) => ` --${key} ${value}`).join('');
    write(path, name, [
      `## ${title}`,
      '',
      ...lines,
      '',
      `Written by \`npm run -s bench -- studies --only ${name}${flags}\` in ${seconds} s on ${cpus()[0]?.model.trim()}.`,
    ]);
  }
}

const HEAD = `# Studies

What the papers show beside their main tables, measured here. \`npm run -s bench -- studies --data DIR\` writes this page; \`--only NAME\` one part of it.
`;

/** Puts a study in its place in the page. */
function write(path: string, name: string, lines: readonly string[]): void {
  const [open, close] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const page = existsSync(path) ? readFileSync(path, 'utf8') : HEAD;
  const text = `${open}\n\n${lines.join('\n')}\n\n${close}`;
  const from = page.indexOf(open);
  const to = page.indexOf(close);
  writeFileSync(
    path,
    from >= 0 && to > from ? page.slice(0, from) + text + page.slice(to + close.length) : `${page.trimEnd()}\n\n${text}\n`,
  );
}
