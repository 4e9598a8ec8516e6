/**
 * Lottery tickets (Frankle, Carbin 2019): the network is trained, its smallest weights are masked, what is left goes back to its initial
 * values and is trained again, round after round.
 */
import type { Candidate } from '../../protocol/policy';
import { ownOptions } from '../methods/options';
import type { Model } from '../onnx/model';
import { ticketSchedule } from '../pruning/magnitude-schedule';
import { magnitudeMask } from '../pruning/weight-masks';
import { loadMasks, saveMasks } from './mask-file';
import type { PruneStageResult } from './prune-stage';
import { trainingStepsOf } from './recover';
import type { RunContext, StageEnd } from './run-context';
import {
  configPath,
  enterRound,
  initialModel,
  maskableLayers,
  randomBaseline,
  rewoundModel,
  roundIsKnown,
  sparsityOf,
  sparsityWithinFlops,
  ticketOptions,
  ticketSection,
  trained,
} from './ticket-training';

const DEFAULT_ROUNDS = 5;

export async function lotteryTicketStage(context: RunContext): Promise<PruneStageResult> {
  const { config, prepared, recorder, folder } = context;
  const options = ticketOptions(context);
  const layers = maskableLayers(context);
  const given = options.mask === '' ? undefined : loadMasks(configPath(context, options.mask), prepared.model, prepared.layers);
  const wanted = given ? 1 : ownOptions(config.method.options, { rounds: DEFAULT_ROUNDS }).rounds;
  const rounds = Math.max(1, Math.min(Math.round(wanted), config.search.scorings ?? Number.POSITIVE_INFINITY));
  const sparsity = sparsityWithinFlops(context, layers, options.sparsity, (s) => ticketSchedule(layers, s, rounds)[rounds - 1]);
  const schedule = ticketSchedule(layers, sparsity, rounds);
  recorder.phase('prune', rounds);
  const start = await rewoundModel(context, await initialModel(context, options), options);
  let model: Model = prepared.model;
  let masks = new Map<string, Float32Array>();
  let best: Candidate | undefined;
  let end: StageEnd = 'complete';
  let done = 0;
  for (const shares of schedule) {
    const id = `p-round-${done + 1}`;
    // A resumed run takes up what it had finished, however late it is.
    if (done > 0 && !roundIsKnown(context, id) && context.expired()) {
      end = 'time-limit';
      break;
    }
    const { initializers } = model.graph;
    masks =
      given ?? new Map(layers.map(({ layer }, i) => [layer.weight, magnitudeMask(initializers.get(layer.weight)!.floats(), shares[i])]));
    model = await trained(context, id, start, masks, options);
    best = await enterRound(context, id, done, model, { ratios: {}, bits: {}, sparsity: sparsityOf(layers, masks) });
    done++;
    recorder.update({ episode: done, episodes: rounds, best }, true);
  }
  saveMasks(folder.best('mask.json'), model, prepared.layers, masks, {
    method: config.method.name,
    data: prepared.data.name,
    model: prepared.sha256,
    seed: config.seed,
  });
  const random = options.baseline ? await randomBaseline(context, start, masks, options) : undefined;
  return {
    best,
    end,
    scorings: done,
    completePolicies: done,
    updates: 0,
    trainingSteps: trainingStepsOf(context, done * options.epochs + options.rewindEpochs),
    model,
    policy: best!.policy,
    targets: [],
    trained: true,
    section: await ticketSection(context, layers, masks, model, random),
  };
}
