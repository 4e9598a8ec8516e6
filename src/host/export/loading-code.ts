/** Code that loads an exported model and runs it once, in three languages. */
import type { ValueShape } from '../../protocol/layer-graph';

export interface LoadedModel {
  /** As the code will name it. */
  readonly file: string;
  readonly input: ValueShape;
  readonly output: ValueShape;
}

/** Open axes are 1: one input. */
function concreteShape({ shape }: ValueShape): number[] {
  return (shape ?? [1]).map((axis) => (typeof axis === 'number' ? axis : 1));
}

const count = (shape: readonly number[]): number => shape.reduce((product, axis) => product * axis, 1);

/** ONNX Runtime's own name first, then what each language calls it. */
const TYPES: Readonly<Record<string, { numpy: string; array: string; tensor: string; csharp: string }>> = {
  float32: { numpy: 'np.float32', array: 'Float32Array', tensor: 'float32', csharp: 'float' },
  float64: { numpy: 'np.float64', array: 'Float64Array', tensor: 'float64', csharp: 'double' },
  uint8: { numpy: 'np.uint8', array: 'Uint8Array', tensor: 'uint8', csharp: 'byte' },
  int8: { numpy: 'np.int8', array: 'Int8Array', tensor: 'int8', csharp: 'sbyte' },
  int32: { numpy: 'np.int32', array: 'Int32Array', tensor: 'int32', csharp: 'int' },
  int64: { numpy: 'np.int64', array: 'BigInt64Array', tensor: 'int64', csharp: 'long' },
};

const text = (value: string): string => JSON.stringify(value);

export function pythonCode({ file, input, output }: LoadedModel): string {
  const { numpy } = TYPES[input.type] ?? TYPES['float32'];
  return `# pip install onnxruntime numpy
import numpy as np
import onnxruntime as ort

session = ort.InferenceSession(${text(file)})
data = np.zeros([${concreteShape(input).join(', ')}], dtype=${numpy})
(result,) = session.run([${text(output.name)}], {${text(input.name)}: data})
print(result.shape)
`;
}

export function javascriptCode({ file, input, output }: LoadedModel): string {
  const { array, tensor } = TYPES[input.type] ?? TYPES['float32'];
  const shape = concreteShape(input);
  return `// npm install onnxruntime-node (in a browser: onnxruntime-web)
import * as ort from 'onnxruntime-node';

const session = await ort.InferenceSession.create(${text(file)});
const data = new ort.Tensor('${tensor}', new ${array}(${count(shape)}), [${shape.join(', ')}]);
const results = await session.run({ [${text(input.name)}]: data });
console.log(results[${text(output.name)}].dims);
await session.release();
`;
}

export function csharpCode({ file, input, output }: LoadedModel): string {
  const { csharp } = TYPES[input.type] ?? TYPES['float32'];
  return `// dotnet add package Microsoft.ML.OnnxRuntime
using System;
using System.Linq;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

using var session = new InferenceSession(${text(file)});
var data = new DenseTensor<${csharp}>(new[] { ${concreteShape(input).join(', ')} });
using var results = session.Run(new[] { NamedOnnxValue.CreateFromTensor(${text(input.name)}, data) }, new[] { ${text(output.name)} });
Console.WriteLine(string.Join(" × ", results.First().AsTensor<float>().Dimensions.ToArray()));
`;
}

/** All three, as Markdown. */
export function loadingMarkdown(model: LoadedModel, figures: string): string {
  const section = (title: string, language: string, code: string): string => `## ${title}\n\n\`\`\`${language}\n${code}\`\`\`\n`;
  return [
    `# ${model.file}`,
    figures,
    section('Python', 'python', pythonCode(model)),
    section('JavaScript', 'javascript', javascriptCode(model)),
    section('C#', 'csharp', csharpCode(model)),
  ].join('\n\n');
}
