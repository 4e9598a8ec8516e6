import type { Action, Agent, AgentState, Step, UpdateDiagnostics } from './agent';
import { clip } from './exploration';

/** The same ratio at every step, cut to the step's bounds: the baseline every search must beat. */
export class UniformAgent implements Agent {
  constructor(readonly ratio: number) {}

  act({ bounds }: Step): Action {
    return { value: clip(this.ratio, bounds.low, bounds.high), logProbability: 0 };
  }

  observe(): UpdateDiagnostics | undefined {
    return undefined;
  }

  endRound(): UpdateDiagnostics | undefined {
    return undefined;
  }

  state(): AgentState {
    return { algorithm: 'uniform' };
  }

  restore(): void {
    // The ratio is given at construction, and nothing changes.
  }

  dispose(): void {
    // Nothing is held.
  }
}
