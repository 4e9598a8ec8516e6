import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readAnswer, readShape } from './export-answer';

describe('the answer', () => {
  it('is the last line', () =>
    expect(readAnswer('hello\n{"x":1}\n\n{"path":"a.onnx","packages":{"torch":"2"}}\n')).toEqual({
      answer: { path: 'a.onnx', packages: { torch: '2' } },
      printed: 'hello\n{"x":1}',
    }));
  it('may be a problem', () =>
    expect(readAnswer('{"error":"e","hint":null,"missing":["torch"]}')?.answer).toEqual({ error: 'e', missing: ['torch'] }));
  it.each(['', 'Traceback', '{"other":1}', '3', 'null'])('%j is none', (output) => expect(readAnswer(output)).toBeUndefined());
});

it.each([
  ['1, 3, 32, 32', [1, 3, 32, 32]],
  ['[1,784]', [1, 784]],
  ['1x1x28x28', [1, 1, 28, 28]],
  ['', undefined],
  ['1, batch', undefined],
  ['0, 3', undefined],
  ['1.5', undefined],
])('shape %j', (text, shape) => expect(readShape(text)).toEqual(shape));

/** Python is no part of our tools: without one this cannot be tried. */
const python = ['python3', 'python'].find((name) => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

describe.skipIf(python === undefined)('export_model.py without torch', () => {
  const run = (request: object): ReturnType<typeof readAnswer> =>
    // Isolated mode hides whatever this machine has installed for the user.
    readAnswer(
      execFileSync(python!, ['-I', '-S', 'media/python/export_model.py', JSON.stringify(request)], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    );

  it('names the missing package', () => {
    const answer = run({ kind: 'torch-module', file: 'net.py', name: 'Net', arguments: '', to: 'net.onnx' })?.answer;
    expect(answer).toMatchObject({ missing: ['torch'] });
    expect(answer && 'error' in answer && answer.error).toMatch(/lacks torch\.$/);
  });

  it('names a package that the source imports, and a name that is not there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'espalier-python-'));
    try {
      // An empty package stands for Keras, so that the source is reached.
      writeFileSync(join(folder, 'net.py'), 'print("imported")\nimport no_such_package\n');
      writeFileSync(join(folder, 'empty.py'), '');
      writeFileSync(join(folder, 'keras.py'), '');
      const script = `import sys; sys.path.insert(0, ${JSON.stringify(folder)}); sys.argv = sys.argv[1:]; exec(open(sys.argv[0]).read())`;
      const ask = (file: string) =>
        readAnswer(
          execFileSync(
            python!,
            [
              '-S',
              '-c',
              script,
              'media/python/export_model.py',
              JSON.stringify({ kind: 'keras-sequential', file: join(folder, file), name: 'net', arguments: '', to: 'x' }),
            ],
            { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
          ),
        );
      expect(ask('net.py')).toEqual({
        answer: expect.objectContaining({
          error: "net.py cannot be imported: No module named 'no_such_package'.",
          missing: ['no_such_package'],
        }),
        printed: 'imported',
      });
      expect(ask('empty.py')?.answer).toMatchObject({ error: "empty.py has no 'net' at its top level." });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
