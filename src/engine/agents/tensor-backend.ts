import { createRequire } from 'node:module';
import { join } from 'node:path';
import util from 'node:util';
import type * as core from '@tensorflow/tfjs-core';
import { UserError } from '../errors';

export type Tf = typeof core;

/** The tensor library the agents' small networks run on. */
export interface TensorBackend {
  /** For people and run records: 'tfjs-node 4.22.0 (native)', 'tfjs-cpu 4.22.0 (pure JavaScript)'. */
  readonly name: string;
  readonly kind: 'native' | 'js';
  readonly tf: Tf;
}

/** A directory in which `npm install @tensorflow/tfjs-node` was run; without it the package is looked for beside the engine. */
export const TFJS_NODE_DIRECTORY = 'ESPALIER_TFJS_NODE';

const NATIVE_PACKAGE = '@tensorflow/tfjs-node';

/**
 * Loads TensorFlow.js: native (@tensorflow/tfjs-node) where that package is installed and its binary loads, else pure JavaScript.
 * One backend a process: all copies of TensorFlow.js share one engine, so the backend loaded last computes for all of them.
 * @throws UserError when 'native' is asked for and does not load; 'auto' falls back without a word.
 */
export async function loadTensorBackend(preferred: 'auto' | 'js' | 'native' = 'auto'): Promise<TensorBackend> {
  if (preferred !== 'js') {
    try {
      return await loadNative();
    } catch (cause) {
      if (preferred === 'native') {
        const place = process.env[TFJS_NODE_DIRECTORY];
        throw new UserError(
          `The native tensor backend ${NATIVE_PACKAGE} does not load${place ? ` from ${TFJS_NODE_DIRECTORY}=${place}` : ''}: ${firstLine(cause)}`,
          `Run "npm install ${NATIVE_PACKAGE}" and set ${TFJS_NODE_DIRECTORY} to that directory, or choose the backend "js", which gives the same results more slowly.`,
          { cause },
        );
      }
    }
  }
  return loadJavaScript();
}

async function loadNative(): Promise<TensorBackend> {
  // tfjs-node 4.22 calls util.isNullOrUndefined, which Node 23 removed.
  const legacy = util as { isNullOrUndefined?: (value: unknown) => boolean };
  legacy.isNullOrUndefined ??= (value) => value === null || value === undefined;
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2'; // libtensorflow greets on stderr otherwise

  const directory = process.env[TFJS_NODE_DIRECTORY];
  // By name at run time, so that bundlers leave it alone and its absence is no error.
  const name: string = NATIVE_PACKAGE;
  const loaded = (directory ? createRequire(join(directory, 'package.json'))(name) : await import(/* @vite-ignore */ name)) as Tf & {
    default?: Tf;
  };
  const tf = loaded.default ?? loaded;
  await start(tf, 'tensorflow');
  return { name: `tfjs-node ${tf.version_core} (native)`, kind: 'native', tf };
}

async function loadJavaScript(): Promise<TensorBackend> {
  const tf = await import('@tensorflow/tfjs-core');
  await import('@tensorflow/tfjs-backend-cpu');
  // tfjs-core's Node build leaves its gradients out and its module build cannot be loaded by Node; tfjs-layers registers them all.
  await import('@tensorflow/tfjs-layers');
  await start(tf, 'cpu');
  return { name: `tfjs-cpu ${tf.version_core} (pure JavaScript)`, kind: 'js', tf };
}

async function start(tf: Tf, backend: string): Promise<void> {
  tf.enableProdMode(); // no "Hi, looks like you are running TensorFlow.js in Node.js" banner, no per-operation checks
  if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js has no backend "${backend}".`);
  await tf.ready();
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n')[0];
}
