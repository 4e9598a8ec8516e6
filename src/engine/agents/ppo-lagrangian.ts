/**
 * Constrained search by Lagrangian relaxation (Malik et al. 2021; methods.md, CRL): compute-constrained PPO maximises
 * reward − λ·(cost/budget − 1), and after each round λ ← max(0, λ + η·(mean episode cost/budget − 1)).
 * Actions are not bounded by the budget: the price λ is what keeps policies within it. Rewards are computed at use, so λ reaches stored transitions too.
 */
import { UserError } from '../errors';
import type { Action, Agent, AgentState, Outcome, RewardFunction, Step, Transition, UpdateDiagnostics } from './agent';
import { checkAlgorithm } from './checks';
import type { PpoAgent } from './ppo';

export interface LagrangianOptions {
  /** λ at the start. */
  readonly lambda: number;
  /** Step η of λ after each round. */
  readonly lambdaRate: number;
}

export const LAGRANGIAN_DEFAULTS: LagrangianOptions = { lambda: 1, lambdaRate: 0.1 };

/** Name of the measure that says cost/budget: at most 1 within it. */
export const RELATIVE_COST = 'relativeCost';

export class PpoLagrangianAgent implements Agent {
  readonly options: LagrangianOptions;
  private lambda: number;
  /** Last cost/budget of each actor's episode in this round. */
  private costs = new Map<number, number>();

  constructor(
    private readonly ppo: PpoAgent,
    options: Partial<LagrangianOptions> = {},
  ) {
    this.options = { ...LAGRANGIAN_DEFAULTS, ...options };
    this.lambda = this.options.lambda;
  }

  /** λ now. */
  get price(): number {
    return this.lambda;
  }

  act(step: Step, options?: { deterministic?: boolean }): Action {
    return this.ppo.act(step, options);
  }

  observe(transition: Transition, reward: RewardFunction): UpdateDiagnostics | undefined {
    // The last outcome of an episode is that of the whole policy.
    this.costs.set(transition.actor, relativeCost(transition.outcome));
    return this.ppo.observe(transition, this.constrained(reward));
  }

  endRound(reward: RewardFunction): UpdateDiagnostics | undefined {
    const diagnostics = this.ppo.endRound(this.constrained(reward));
    const costs = [...this.costs.values()];
    if (costs.length > 0) {
      const excess = costs.reduce((sum, c) => sum + c, 0) / costs.length - 1;
      this.lambda = Math.max(0, this.lambda + this.options.lambdaRate * excess);
    }
    this.costs.clear();
    return diagnostics;
  }

  private constrained(reward: RewardFunction): RewardFunction {
    return (outcome) => reward(outcome) - this.lambda * (relativeCost(outcome) - 1);
  }

  state(): AgentState {
    return { algorithm: 'ppo-lagrangian', lambda: this.lambda, costs: [...this.costs], ppo: this.ppo.state() };
  }

  restore(state: AgentState): void {
    checkAlgorithm(state, 'ppo-lagrangian');
    const saved = state as unknown as { lambda: number; costs: [number, number][]; ppo: AgentState };
    this.lambda = saved.lambda;
    this.costs = new Map(saved.costs);
    this.ppo.restore(saved.ppo);
  }

  dispose(): void {
    this.ppo.dispose();
  }
}

function relativeCost(outcome: Outcome): number {
  const cost = outcome.measures[RELATIVE_COST];
  if (Number.isFinite(cost)) return cost;
  throw new UserError(
    'The constrained search has no cost to keep within a budget.',
    'Set a budget: "goal": { "flops": 0.5 }, or params or latency; bytes bound the bits of stage 2, and this stage where that is off ("stages": { "quantize": false }).',
  );
}
