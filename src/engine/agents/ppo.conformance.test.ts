// Apart from ppo.test.ts because learning takes its time (see ESPALIER_SLOW in testing/conformance.ts).
import { PPO_IMPROVED, PpoAgent } from './ppo.js';
import { loadTensorBackend } from './tensor-backend.js';
import { describeAgent } from './testing/conformance.js';

const backend = await loadTensorBackend('js');

describeAgent('PPO, improved', (environment, random) => new PpoAgent(backend, environment.observationSize, random, PPO_IMPROVED));
