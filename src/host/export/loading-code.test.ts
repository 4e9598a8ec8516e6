import { describe, expect, it } from 'vitest';
import { csharpCode, javascriptCode, loadingMarkdown, pythonCode } from './loading-code';

const model = {
  file: 'net "small".onnx',
  input: { name: 'image', type: 'float32', shape: ['batch', 3, 32, 32] },
  output: { name: 'scores', type: 'float32', shape: ['batch', 10] },
};

describe('code for the model at hand', () => {
  it('Python', () => {
    expect(pythonCode(model)).toContain('ort.InferenceSession("net \\"small\\".onnx")');
    expect(pythonCode(model)).toContain('np.zeros([1, 3, 32, 32], dtype=np.float32)');
    expect(pythonCode(model)).toContain('session.run(["scores"], {"image": data})');
  });
  it('JavaScript', () => expect(javascriptCode(model)).toContain("new ort.Tensor('float32', new Float32Array(3072), [1, 3, 32, 32])"));
  it('C#', () => expect(csharpCode(model)).toContain('new DenseTensor<float>(new[] { 1, 3, 32, 32 })'));
  it('follows the type of the input', () => {
    const bytes = { ...model, input: { ...model.input, type: 'uint8' } };
    expect(pythonCode(bytes)).toContain('np.uint8');
    expect(javascriptCode(bytes)).toContain("'uint8', new Uint8Array(3072)");
    expect(csharpCode(bytes)).toContain('DenseTensor<byte>');
  });
});

it('JavaScript parses', () => {
  const body = javascriptCode(model).replace(/^import .*$/m, '');
  const AsyncFunction = (async () => undefined).constructor as new (...args: string[]) => unknown;
  expect(() => new AsyncFunction('ort', body)).not.toThrow();
});

it('all three in one text', () =>
  expect(loadingMarkdown(model, '12 kB').match(/```\w+/g)).toEqual(['```python', '```javascript', '```csharp']));
