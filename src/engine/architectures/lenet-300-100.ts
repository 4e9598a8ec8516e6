/** LeNet-300-100 (LeCun et al. 1998): the fully connected network of the lottery-ticket papers; 266,610 parameters for 10 classes. */
import { GraphBuilder, type Value } from '../ops/builder';
import { type Architecture, drawnParameters } from './architecture';

export const lenet300100: Architecture = {
  name: 'lenet-300-100',
  description: 'LeNet-300-100: full connections of 300, 100, classes; 28×28 grey images',
  input: [1, 28, 28],
  build({ classes, random }) {
    const b = new GraphBuilder();
    const linear = (x: Value, name: string, shape: readonly number[]): Value => {
      const { weight, bias } = drawnParameters(b, name, shape, random);
      return b.op('Gemm', [x, weight, bias], { transB: 1 }, { name });
    };
    let h = b.op('Flatten', [b.input('input', ['batch', 1, 28, 28])], { axis: 1 }, { name: 'flatten' });
    h = b.op('Relu', [linear(h, 'fc1', [300, 784])], {}, { name: 'fc1.relu' });
    h = b.op('Relu', [linear(h, 'fc2', [100, 300])], {}, { name: 'fc2.relu' });
    b.output(linear(h, 'fc3', [classes, 100]), 'logits', ['batch', classes]);
    return b.build('lenet-300-100');
  },
};
