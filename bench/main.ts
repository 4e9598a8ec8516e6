/** `npm run bench -- <name> [--data DIR] [--seeds N] [--json]`: runs one benchmark. */
import { type BenchArguments, parseArguments } from './bench';

const benches: Readonly<Record<string, () => Promise<{ run(args: BenchArguments): Promise<void> }>>> = {
  memory: () => import('./memory'),
  fuzz: () => import('./fuzz'),
  conformance: () => import('./conformance'),
  'lenet5-mnist': () => import('./lenet5-mnist'),
  'lstm-mnist': () => import('./lstm-mnist'),
  'resnet20-cifar10': () => import('./resnet20-cifar10'),
  'resnet20-bits': () => import('./resnet20-bits'),
  methods: () => import('./methods'),
  purl: () => import('./purl'),
  n2n: () => import('./n2n'),
  'deep-compression': () => import('./deep-compression'),
  rlp: () => import('./rlp'),
  lottery: () => import('./lottery'),
  studies: () => import('./studies'),
  ablation: () => import('./ablation'),
  cacp: () => import('./cacp'),
  sensitivity: () => import('./sensitivity'),
  widths: () => import('./widths'),
  'mobilenet-v2': () => import('./mobilenet-v2'),
};

const [name, ...rest] = process.argv.slice(2);
const load = benches[name ?? ''];
if (!load) {
  console.error(`usage: npm run bench -- <name> [--data DIR] [--seeds N] [--json]\nnames: ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}
load()
  .then((bench) => bench.run(parseArguments(rest)))
  .catch((e: unknown) => {
    console.error(e instanceof Error ? (e.stack ?? e.message) : e);
    process.exit(1);
  });
