/** LeNet-5 (LeCun et al. 1998) in today's form: ReLU, max pooling, full connections; 61,706 parameters for 10 classes. */
import { GraphBuilder } from '../ops/builder';
import { type Architecture, drawnParameters } from './architecture';

export const lenet5: Architecture = {
  name: 'lenet5',
  description: 'LeNet-5: 6@5×5 (pad 2), 16@5×5, 120, 84, classes; 28×28 grey images',
  input: [1, 28, 28],
  build({ classes, random }) {
    const b = new GraphBuilder();
    const convolution = (x: ReturnType<typeof b.input>, name: string, shape: readonly number[], pad: number) => {
      const { weight, bias } = drawnParameters(b, name, shape, random);
      const y = b.op('Conv', [x, weight, bias], { kernel_shape: shape.slice(2), pads: [pad, pad, pad, pad], strides: [1, 1] }, { name });
      const r = b.op('Relu', [y], {}, { name: `${name}.relu` });
      return b.op('MaxPool', [r], { kernel_shape: [2, 2], strides: [2, 2] }, { name: `${name}.pool` });
    };
    const linear = (x: ReturnType<typeof b.input>, name: string, shape: readonly number[]) => {
      const { weight, bias } = drawnParameters(b, name, shape, random);
      return b.op('Gemm', [x, weight, bias], { transB: 1 }, { name });
    };
    let h = b.input('input', ['batch', 1, 28, 28]);
    h = convolution(h, 'conv1', [6, 1, 5, 5], 2);
    h = convolution(h, 'conv2', [16, 6, 5, 5], 0);
    h = b.op('Flatten', [h], { axis: 1 }, { name: 'flatten' });
    h = b.op('Relu', [linear(h, 'fc1', [120, 400])], {}, { name: 'fc1.relu' });
    h = b.op('Relu', [linear(h, 'fc2', [84, 120])], {}, { name: 'fc2.relu' });
    b.output(linear(h, 'fc3', [classes, 84]), 'logits', ['batch', classes]);
    return b.build('lenet5');
  },
};
