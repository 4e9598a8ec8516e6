/**
 * An image as a sequence: an LSTM (Hochreiter & Schmidhuber 1997) of 128 units reads 28 rows of 28 pixels from top to bottom, and a
 * linear layer names the class from its last state; 82,186 parameters for 10 classes.
 */
import { GraphBuilder } from '../ops/builder';
import { type Architecture, drawnParameters } from './architecture';

const [ROWS, COLUMNS, HIDDEN] = [28, 28, 128];

export const lstmRows: Architecture = {
  name: 'lstm-rows',
  description: 'LSTM of 128 units over the 28 rows of a 28×28 grey image, classes from its last state',
  input: [1, ROWS, COLUMNS],
  build({ classes, random }) {
    const b = new GraphBuilder();
    const bound = 1 / Math.sqrt(HIDDEN);
    const draw = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.between(-bound, bound));
    const gates = 4 * HIDDEN;
    const biases = draw(2 * gates);
    // The forget gate (third of i, o, f, c) starts open, so that the first rows are not forgotten before anything is learned
    // (Jozefowicz et al. 2015, "An Empirical Exploration of Recurrent Network Architectures").
    biases.fill(1, 2 * HIDDEN, 3 * HIDDEN);
    const image = b.input('input', ['batch', 1, ROWS, COLUMNS]);
    const rows = b.op('Squeeze', [image, b.ints([1])], {}, { name: 'rows' });
    const steps = b.op('Transpose', [rows], { perm: [1, 0, 2] }, { name: 'steps' });
    const weights = [
      b.floats('lstm.weight', [1, gates, COLUMNS], draw(gates * COLUMNS)),
      b.floats('lstm.recurrent', [1, gates, HIDDEN], draw(gates * HIDDEN)),
      b.floats('lstm.bias', [1, 2 * gates], biases),
    ];
    const [, state] = b.ops('LSTM', [steps, ...weights], { hidden_size: HIDDEN }, { name: 'lstm', outputs: 2 });
    const last = b.op('Squeeze', [state, b.ints([0])], {}, { name: 'last' });
    const { weight, bias } = drawnParameters(b, 'fc', [classes, HIDDEN], random);
    b.output(b.op('Gemm', [last, weight, bias], { transB: 1 }, { name: 'fc' }), 'logits', ['batch', classes]);
    return b.build('lstm-rows');
  },
};
