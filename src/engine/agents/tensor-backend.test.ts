import { afterEach, expect, test, vi } from 'vitest';
import { UserError } from '../errors';
import { loadTensorBackend, TFJS_NODE_DIRECTORY } from './tensor-backend';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

test('pure JavaScript loads without a word, computes and differentiates', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  const { name, kind, tf } = await loadTensorBackend('js');
  expect(name).toMatch(/^tfjs-cpu \d+\.\d+\.\d+ \(pure JavaScript\)$/);
  expect(kind).toBe('js');
  const gradient = tf.grad((x) => tf.mean(tf.relu(x)))(tf.tensor1d([2, -1]));
  expect([...gradient.dataSync()]).toEqual([0.5, 0]);
  expect(warn).not.toHaveBeenCalled();
});

test('native that cannot be loaded is an error with a next step when asked for, and a quiet fallback otherwise', async () => {
  vi.stubEnv(TFJS_NODE_DIRECTORY, '/nowhere/at/all');
  const failure = await loadTensorBackend('native').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(UserError);
  expect((failure as UserError).message).toContain('does not load from ESPALIER_TFJS_NODE=/nowhere/at/all');
  expect((failure as UserError).hint).toContain('npm install @tensorflow/tfjs-node');
  expect((await loadTensorBackend('auto')).kind).toBe('js');
});
