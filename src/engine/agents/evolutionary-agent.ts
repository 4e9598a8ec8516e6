/**
 * Regularised evolution (Real, Aggarwal, Huang, Le 2019, "Regularized Evolution for Image Classifier Architecture Search") over the vector of
 * an episode's actions: tournament selection, uniform crossover, Gaussian mutation; the oldest policy leaves the population.
 */
import { Random } from '../random';
import type { AgentState } from './agent';
import { clip } from './exploration';
import { type Attempt, type Proposal, ProposalAgent } from './proposals';

export interface EvolutionaryOptions {
  /** Policies alive at a time. */
  readonly population: number;
  /** Policies compared to choose a parent. */
  readonly tournament: number;
  /** Probability that an action mutates (at least one always does), and the standard deviation of the change. */
  readonly mutationRate: number;
  readonly mutationSigma: number;
  /** Probability that a child has two parents. */
  readonly crossover: number;
  /** The same action for every step as the first policy, and as what the first population is mutated from; absent: random policies. */
  readonly start?: number;
  /** Standard deviation of those first mutations. */
  readonly startSigma: number;
}

export const EVOLUTIONARY_DEFAULTS: EvolutionaryOptions = {
  population: 16,
  tournament: 4,
  mutationRate: 0.2,
  mutationSigma: 0.15,
  crossover: 0.3,
  startSigma: 0.25,
};

interface Individual {
  readonly actions: readonly number[];
  readonly reward: number;
}

export class EvolutionaryAgent extends ProposalAgent<null> {
  readonly options: EvolutionaryOptions;
  private random: Random;
  /** Oldest first. */
  private population: Individual[] = [];
  private proposed = 0;

  constructor(steps: number, random: Random, options: Partial<EvolutionaryOptions> = {}) {
    super('evolutionary', steps);
    this.options = { ...EVOLUTIONARY_DEFAULTS, ...options };
    this.random = random.fork('samples');
  }

  protected propose(): Proposal<null> {
    const index = this.proposed++;
    const actions = index < this.options.population || this.population.length === 0 ? this.first(index) : this.child();
    return { actions, tag: null };
  }

  /** Policies are kept as executed: what a budget's bounds made of them is what was scored. */
  protected learn({ actions, reward }: Attempt<null>): void {
    this.population.push({ actions, reward });
    if (this.population.length > this.options.population) this.population.shift();
  }

  private first(index: number): number[] {
    const { start, startSigma } = this.options;
    if (start === undefined) return Array.from({ length: this.steps }, () => this.random.uniform());
    if (index === 0) return Array.from({ length: this.steps }, () => start);
    return Array.from({ length: this.steps }, () => clip(start + startSigma * this.random.normal(), 0, 1));
  }

  private child(): number[] {
    const { mutationRate, mutationSigma, crossover } = this.options;
    let actions = [...this.parent().actions];
    if (this.random.uniform() < crossover) {
      const other = this.parent().actions;
      actions = actions.map((a, i) => (this.random.uniform() < 0.5 ? a : other[i]));
    }
    const always = this.random.below(this.steps);
    return actions.map((a, i) =>
      i === always || this.random.uniform() < mutationRate ? clip(a + mutationSigma * this.random.normal(), 0, 1) : a,
    );
  }

  private parent(): Individual {
    let best: Individual | undefined;
    for (let i = 0; i < this.options.tournament; i++) {
      const one = this.population[this.random.below(this.population.length)];
      if (!best || one.reward > best.reward) best = one;
    }
    return best!;
  }

  protected memory(): AgentState {
    return { random: this.random.state(), population: this.population, proposed: this.proposed };
  }

  protected recall(memory: AgentState): void {
    const saved = memory as unknown as { random: number[]; population: Individual[]; proposed: number };
    this.random = new Random(saved.random);
    this.population = [...saved.population];
    this.proposed = saved.proposed;
  }
}
