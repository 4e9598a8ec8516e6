// Bundles the command line, the worker with its threads, the benchmarks, the extension host and the web view into dist/.
// Usage: node esbuild.mjs [--watch] [--quiet] [--production] [--only=cli,worker,…] [--outdir=dist]
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, context } from 'esbuild';

const watch = process.argv.includes('--watch');
const production = process.argv.includes('--production');
const only = process.argv
  .find((a) => a.startsWith('--only='))
  ?.slice(7)
  .split(',');

const outdir = process.argv.find((a) => a.startsWith('--outdir='))?.slice(9) ?? 'dist';

const shared = {
  bundle: true,
  sourcemap: production ? false : 'linked',
  minify: production,
  logLevel: 'warning',
  legalComments: 'none',
  define: { 'process.env.NODE_ENV': '"production"' },
};

// The HDF5 library holds 4 MB of WebAssembly: one file of its own, which every bundle finds beside it when a file needs it.
const hdf5 = {
  name: 'hdf5',
  setup: (build) => build.onResolve({ filter: /^h5wasm$/ }, () => ({ path: './h5wasm.mjs', external: true })),
};

// The JPEG decoder reads `import.meta`, so it is a module of its own, with its WebAssembly beside it.
const mozjpeg = {
  name: 'mozjpeg',
  setup: (build) => build.onResolve({ filter: /\/mozjpeg$/ }, () => ({ path: './mozjpeg.mjs', external: true })),
};

// Native packages stay outside; tfjs-node is looked for at run time and may be absent.
const external = ['onnxruntime-node', '@tensorflow/tfjs-node', 'vscode'];

const node = (name, entry) => ({
  ...shared,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external,
  // Its UMD build hides its requires from the bundler.
  alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
  plugins: [hdf5, mozjpeg],
  entryPoints: { [name]: entry },
  outdir,
});

const bundles = [
  node('cli', 'src/cli/main.ts'),
  node('worker', 'src/worker/main.ts'),
  node('definition-thread', 'src/worker/definition-thread.ts'),
  node('actor-thread', 'src/engine/search/actor-thread.ts'),
  node('sensitivity-thread', 'src/engine/search/sensitivity-thread.ts'),
  node('augment-thread', 'src/engine/data/augment-thread.ts'),
  node('hdf5-thread', 'src/engine/formats/hdf5-thread.ts'),
  node('bench', 'bench/main.ts'),
  {
    ...shared,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    // Its WebAssembly is a string, which escapes would make half as long again.
    charset: 'utf8',
    outExtension: { '.js': '.mjs' },
    entryPoints: { h5wasm: 'node_modules/h5wasm/dist/esm/hdf5_hl.js' },
    outdir,
  },
  {
    ...shared,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    entryPoints: { mozjpeg: 'src/engine/data/mozjpeg.ts' },
    outdir,
  },
  node('extension', 'src/extension.ts'),
  // What only configs and panels need: the extension loads it with the first of them.
  node('config-language', 'src/host/config-language.ts'),
  {
    ...shared,
    platform: 'browser',
    target: 'es2022',
    format: 'esm',
    entryPoints: { panel: 'webview/panel/main.ts' },
    outdir: `${outdir}/webview`,
    loader: { '.css': 'css', '.ttf': 'file' },
  },
].filter((options) =>
  Object.entries(options.entryPoints).every(([name, entry]) => existsSync(entry) && (only === undefined || only.includes(name))),
);

mkdirSync(outdir, { recursive: true });
copyFileSync('node_modules/@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm', join(outdir, 'mozjpeg_dec.wasm'));
if (watch) {
  for (const options of bundles) await (await context({ ...options, logLevel: 'info' })).watch();
} else {
  await Promise.all(bundles.map((options) => build(options)));
  if (!process.argv.includes('--quiet')) console.log(`built ${bundles.length} bundles in dist/`);
}
