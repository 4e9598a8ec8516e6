/** Criteria as methods: the uniform ratio with one way to choose the channels. */
import type { SelectionName } from '../../protocol/config';
import { UniformAgent } from '../agents/uniform-agent';
import type { Method } from './method';

function criterion(selection: SelectionName, title: string, description: string, source: string): Method {
  return {
    name: selection,
    title,
    description: `The uniform ratio; ${description}`,
    source: `baseline; ${source}`,
    credit: 'episode',
    episodes: 1,
    selection,
    options: [],
    createAgent: ({ uniformAction }) => new UniformAgent(uniformAction),
  };
}

export const criterionMethods: readonly Method[] = [
  criterion('l1', 'L1 magnitude', 'channels with the smallest L1 norm go.', 'Li et al. 2017, Pruning Filters for Efficient ConvNets'),
  criterion('l2', 'L2 magnitude', 'channels with the smallest L2 norm go.', 'He et al. 2018, Soft Filter Pruning'),
  criterion(
    'bn-scale',
    'Batch-norm scale',
    'channels with the smallest batch-norm scale go.',
    'Liu et al. 2017, Learning Efficient Convolutional Networks through Network Slimming',
  ),
  criterion(
    'fpgm',
    'Geometric median (FPGM)',
    'filters nearest to the geometric median of their layer go.',
    'He et al. 2019, Filter Pruning via Geometric Median',
  ),
  criterion(
    'taylor',
    'Taylor importance',
    'channels go whose loss would change least, to first order, if their weights were zero.',
    'Molchanov et al. 2017, Pruning Convolutional Neural Networks for Resource Efficient Inference',
  ),
];
