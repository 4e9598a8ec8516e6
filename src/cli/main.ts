/** The `espalier` command: its sub-commands and their options. Each is loaded when it is asked for. */
import { Command, CommanderError, Option } from 'commander';
import { version } from '../../package.json';
import { ExitCode, exitCodeHelp } from './exit-codes';
import { reportFailure } from './failures';

let exitCode: number = ExitCode.ok;

const collect = (value: string, earlier: string[] | undefined): string[] => [...(earlier ?? []), value];
const dataOption = (): Option =>
  new Option(
    '--data <name|folder|file>',
    'a data set (digits, mnist, fashion-mnist, cifar10), a folder that holds some, a folder of images, or an .npz, .npy, .csv or .tsv file; may be repeated',
  ).argParser(collect);
const setOption = (): Option =>
  new Option('--set <field=value>', 'any other field of the config, e.g. pruning.selection=l1; may be repeated').argParser(collect);
const jsonOption = (what: string): Option => new Option('--json', what);

/** Runs a command; its exit code is what it returns. */
function action<A extends unknown[]>(work: (...args: A) => Promise<unknown>): (...args: A) => Promise<void> {
  return async (...args) => {
    const code = await work(...args);
    exitCode = typeof code === 'number' ? code : ExitCode.ok;
  };
}

const program = new Command('espalier')
  .description('Compresses neural networks: prunes, quantises, fine-tunes, exports and measures them on this machine.')
  .version(version)
  .showHelpAfterError('(espalier --help lists the commands)')
  .addHelpText('after', exitCodeHelp)
  .exitOverride();

program
  .command('compress')
  .description('compress a model: a run of both stages, with a report and the smaller file')
  .argument('<model|config>', 'a model (.onnx, .keras, .h5, model.json, SavedModel folder), or a config (*.espalier.json)')
  .addOption(dataOption())
  .option(
    '--goal <goals>',
    'what to keep to, e.g. flops=0.5,params=0.3,bytes=100000,latency=2,drop=0.01 (up to 1: a share of the original’s)',
  )
  .option('--method <name>', 'which method searches (see `espalier methods`)')
  .option('--episodes <number>', 'episodes of each stage')
  .option('--time-limit <duration>', "longest time, e.g. '10m'; the best so far is finished")
  .option('--seed <number>', 'seed of everything random')
  .option('--out <folder>', 'folder that gets the run folder (default .espalier/runs)')
  .option('--dequantize', 'turn a model that is quantised already back into floats first')
  .addOption(setOption())
  .addOption(jsonOption('one JSON object a line on standard output: every event, then the result'))
  .action(action(async (path: string, options) => (await import('./commands/compress')).compress(path, options)));

program
  .command('compare')
  .description(
    'methods × seeds on one model, data set and number of candidate scorings: table, CSV and chart; goes on where it was stopped',
  )
  .argument('<model|config>', 'a model (.onnx, .keras, .h5, model.json, SavedModel folder), or a config (*.espalier.json)')
  .addOption(dataOption())
  .option('--methods <names>', "which, e.g. episodic-ppo,amc,random-search,uniform; or 'all'")
  .option('--seeds <numbers>', 'how many seeds, or which: 3, or 1,2,3 (default 3)')
  .option('--scorings <number>', 'candidate scorings of each cell and stage, partial policies included (default 80)')
  .option('--goal <goals>', 'what to keep to, e.g. flops=0.5 (up to 1: a share of the original’s)')
  .option('--out <folder>', 'folder of the comparison (default .espalier/compare/<model>)')
  .addOption(setOption())
  .addOption(jsonOption('one JSON object a cell, then one of the whole'))
  .action(action(async (path: string, options) => (await import('./commands/compare')).compare(path, options)));

program
  .command('train')
  .description('train a baseline network from nothing, as the config’s "train" says, and write it to the config’s "model"')
  .argument('<config>', 'a config (*.espalier.json) with "train"')
  .addOption(dataOption())
  .option('--seed <number>', 'seed of everything random')
  .addOption(setOption())
  .addOption(jsonOption('one JSON object a line: every epoch, then the result'))
  .action(action(async (path: string, options) => (await import('./commands/train')).train(path, options)));

program
  .command('resume')
  .description('go on with a run that was stopped or killed; the result is that of a run left alone')
  .argument('<run>', 'a run folder')
  .addOption(dataOption())
  .addOption(jsonOption('one JSON object a line: every event, then the result'))
  .action(action(async (path: string, options) => (await import('./commands/resume')).resume(path, options)));

program
  .command('runs')
  .description('list the runs in a folder, newest first')
  .argument('[folders...]', 'folders of run folders (default .espalier/runs)')
  .addOption(jsonOption('one JSON object a run'))
  .action(action(async (folders: string[], options) => (await import('./commands/runs')).runs(folders, options)));

program
  .command('inspect')
  .description('show layers, channel groups with what couples them, what stays whole and why, and costs')
  .argument('<model|config>', 'a model (.onnx, .keras, .h5, model.json, SavedModel folder), or a config')
  .addOption(jsonOption('one JSON object: the whole layer graph'))
  .action(action(async (path: string, options) => (await import('./commands/inspect')).inspect(path, options)));

program
  .command('evaluate')
  .description('measure a file: accuracy on held-out samples, sizes, milliseconds at batch 1 and 32')
  .argument('<model|config>', 'a model (.onnx, .keras, .h5, model.json, SavedModel folder), or a config')
  .addOption(dataOption())
  .addOption(setOption())
  .addOption(jsonOption('one JSON object'))
  .action(action(async (path: string, options) => (await import('./commands/evaluate')).evaluate(path, options)));

program
  .command('sensitivity')
  .description(
    'accuracy with each channel group pruned alone and each layer quantised alone, on held-out samples; cached in .espalier/sensitivity',
  )
  .argument('<model|config>', 'a model (.onnx, .keras, .h5, model.json, SavedModel folder), or a config')
  .addOption(dataOption())
  .option('--images <number>', 'held-out samples that score a point (default 1000)')
  .option('--ratios <list>', 'shares of channels removed (default 0.1,0.2,…,0.9)')
  .option('--bits <list>', 'bit-widths (default 1,2,…,8)')
  .option('--groups <list>', "only these channel groups ('none' for none)")
  .option('--layers <list>', "only these layers ('none' for none)")
  .option('--selection <name>', 'how channels are chosen: l1 (default), l2, backward-elimination, lasso, …')
  .option('--reconstruct', 'rebuild the readers by least squares, as a run does; slower')
  .option('--multiple <number>', 'widths are rounded to this multiple; 1 for none (default: the config’s)')
  .option('--refresh', 'measure anew what is cached')
  .option('--out <folder>', 'folder of the report and its curves (default .espalier/sensitivity/<model name>)')
  .addOption(setOption())
  .addOption(jsonOption('one JSON object'))
  .action(action(async (path: string, options) => (await import('./commands/sensitivity')).sensitivity(path, options)));

program
  .command('data')
  .description('download a data set, checked against its published sum')
  .argument('<name>', 'mnist, fashion-mnist or cifar10')
  .option('--to <folder>', 'folder of data sets (default: ESPALIER_DATA, else data)')
  .addOption(jsonOption('one JSON object'))
  .action(action(async (name: string, options) => (await import('./commands/data')).data(name, options)));

program
  .command('methods')
  .description('list the methods that --method may name')
  .addOption(jsonOption('one JSON object a method'))
  .action(action(async (options) => (await import('./commands/methods')).listMethods(options)));

program
  .command('demo')
  .description('train LeNet-5 on generated digits, compress it, and show before → after; needs no files')
  .option('--out <folder>', 'folder for everything it writes (default demo-run)')
  .option('--seed <number>', 'seed of everything random')
  .addOption(jsonOption('one JSON object a line: every event, then the result'))
  .action(action(async (options) => (await import('./commands/demo')).demo(options)));

/** A reader that has seen enough (`espalier methods | head`) ends the command as it would any other; a run that it cuts short can be resumed. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(ExitCode.readerGone);
}

async function main(): Promise<void> {
  process.stdout.on('error', endWithReader);
  const json = process.argv.includes('--json');
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has said what is wrong; help and version are no errors.
      exitCode = error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
    } else {
      exitCode = reportFailure(error, json);
    }
  }
  // Not process.exit: what was written to a pipe must reach it.
  process.exitCode = exitCode;
}

void main();
