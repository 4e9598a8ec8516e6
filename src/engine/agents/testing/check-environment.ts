import type { Random } from '../../random';
import type { Environment, Step } from '../agent';

/**
 * What every environment must keep, checked over whole episodes with random and with out-of-range actions.
 * @param make builds the environment from the same seed each time: two of them must give the same episode.
 * @returns what is wrong, one sentence each; empty when all is well.
 */
export async function checkEnvironment(make: () => Environment | Promise<Environment>, random: Random, episodes = 2): Promise<string[]> {
  const problems = new Set<string>();
  const first = await make();
  const second = await make();
  for (let episode = 0; episode < episodes; episode++) {
    const state = random.state();
    const actions: number[] = [];
    const trace = await traceEpisode(
      first,
      ({ bounds }) => {
        // One in four actions lies outside of the bounds: the environment has to clip it.
        const margin = random.uniform() < 0.25 ? 0.5 : 0;
        const action = random.between(bounds.low - margin, bounds.high + margin);
        actions.push(action);
        return action;
      },
      problems,
    );
    const again = await traceEpisode(second, (_, t) => actions[t], problems);
    if (trace !== again) problems.add(`Episode ${episode}: the same seed and actions gave another episode (generator ${state.join(',')}).`);
  }
  return [...problems];
}

async function traceEpisode(environment: Environment, act: (step: Step, t: number) => number, problems: Set<string>): Promise<string> {
  const trace: unknown[] = [];
  let step: Step | undefined = await environment.reset();
  let t = 0;
  for (; step && t < environment.steps; t++) {
    checkStep(step, environment, t, problems);
    trace.push(step);
    const { low, high } = step.bounds;
    const result = await environment.step(act(step, t));
    trace.push(result);
    if (!Number.isFinite(result.executed)) problems.add(`Step ${t}: executed ${result.executed}, not a number.`);
    else if (result.executed < low - 1e-9 || result.executed > high + 1e-9)
      problems.add(`Step ${t}: executed ${result.executed} outside of its bounds [${low}, ${high}].`);
    const { accuracy, flops, measures } = result.outcome;
    if (!(accuracy >= 0 && accuracy <= 1)) problems.add(`Step ${t}: accuracy ${accuracy} is not in [0, 1].`);
    if (!(Number.isFinite(flops) && flops >= 0)) problems.add(`Step ${t}: ${flops} FLOPs.`);
    for (const [name, value] of Object.entries(measures))
      if (!Number.isFinite(value)) problems.add(`Step ${t}: measure ${name} is ${value}.`);
    if (result.done !== (t === environment.steps - 1)) problems.add(`Step ${t} of ${environment.steps}: done is ${result.done}.`);
    if (result.done !== (result.next === undefined))
      problems.add(`Step ${t}: done is ${result.done}, and there is ${result.next ? 'a' : 'no'} next step.`);
    step = result.next;
  }
  if (t !== environment.steps || step) problems.add(`An episode has ${t}${step ? ' or more' : ''} steps, not ${environment.steps}.`);
  return JSON.stringify(trace);
}

function checkStep({ observation, bounds }: Step, environment: Environment, t: number, problems: Set<string>): void {
  if (observation.length !== environment.observationSize)
    problems.add(`Step ${t}: an observation of ${observation.length} numbers, not ${environment.observationSize}.`);
  observation.forEach((value, i) => {
    if (!(value >= 0 && value <= 1)) problems.add(`Step ${t}: observation[${i}] is ${value}, not in [0, 1].`);
  });
  if (!(bounds.low <= bounds.high)) problems.add(`Step ${t}: bounds [${bounds.low}, ${bounds.high}] are the wrong way round.`);
}
