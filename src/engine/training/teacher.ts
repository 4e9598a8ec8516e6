/** Scores of one or several trained models, and inner values of the first, as targets for distillation. */
import { UserError } from '../errors';
import { type Model, withGraph } from '../onnx/model';
import { feedsOf } from '../runtime/feeds';
import { Session, type SessionOptions } from '../runtime/onnxruntime';
import { type BatchedInput, batchedInputs, layoutOf, withBatch } from './batched';
import { withValues } from './hints';
import { withLogitsOnly } from './logits';

interface Member {
  readonly session: Session;
  readonly inputs: readonly BatchedInput[];
  /** The output that holds the scores. */
  readonly scores: string;
}

export interface TeacherOptions extends SessionOptions {
  /** Names of inner values of the first model that are wanted as well. */
  readonly values?: readonly string[];
  /** The output itself is wanted, as in regression, without looking behind its softmax or sigmoid. */
  readonly asWritten?: boolean;
}

export class Teacher {
  private constructor(
    private readonly members: readonly Member[],
    private readonly batch: number,
  ) {}

  /** @param models scores of several are averaged (an ensemble) */
  static async create(
    models: readonly Model[],
    batch: number,
    { values = [], asWritten, ...options }: TeacherOptions = {},
  ): Promise<Teacher> {
    if (models.length === 0) throw new Error('a teacher needs at least one model');
    const members: Member[] = [];
    try {
      for (const model of models) {
        const inputs = batchedInputs(model, batch);
        const scores = withLogitsOnly(withBatch(model, batch), asWritten);
        const fixed = withGraph(members.length === 0 ? withValues(scores, values) : scores, {
          inputs: inputs.map(({ info, shape }) => ({ ...info, shape })),
        });
        members.push({ session: await Session.create(fixed, options), inputs, scores: scores.graph.outputs[0].name });
      }
    } catch (e) {
      for (const m of members) await m.session.release();
      throw e;
    }
    return new Teacher(members, batch);
  }

  /** Scores [batch, classes] (the mean over the members), a fresh array, and the inner values by name. */
  async answer(inputs: Float32Array): Promise<{ readonly logits: Float32Array; readonly values: ReadonlyMap<string, Float32Array> }> {
    let sum: Float32Array | undefined;
    const values = new Map<string, Float32Array>();
    for (const { session, inputs: wanted, scores } of this.members) {
      const feeds = feedsOf(
        wanted.map((i) => i.info),
        layoutOf(wanted),
        inputs,
        this.batch,
      );
      const results = await session.run(feeds);
      for (const [name, { data }] of Object.entries(results)) if (name !== scores) values.set(name, data as Float32Array);
      const data = results[scores].data as Float32Array;
      if (!sum) sum = data.slice();
      else if (sum.length !== data.length)
        throw new UserError(`teachers disagree on the number of classes (${sum.length / this.batch} and ${data.length / this.batch})`);
      else for (let i = 0; i < sum.length; i++) sum[i] += data[i];
    }
    const mean = sum!;
    if (this.members.length > 1) for (let i = 0; i < mean.length; i++) mean[i] /= this.members.length;
    return { logits: mean, values };
  }

  async dispose(): Promise<void> {
    for (const { session } of this.members) await session.release();
  }
}
