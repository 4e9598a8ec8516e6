/** Scores of one or several trained models, as targets for distillation. */
import { UserError } from '../errors';
import { type Model, withGraph } from '../onnx/model';
import { floatTensor, Session, type SessionOptions } from '../runtime/onnxruntime';
import { batchedInput, withBatch } from './batched';
import { withLogitsOnly } from './logits';

export class Teacher {
  private constructor(
    private readonly members: ReadonlyArray<{ session: Session; input: string; shape: readonly number[] }>,
    private readonly batch: number,
  ) {}

  /** @param models several are averaged (an ensemble) */
  static async create(models: readonly Model[], batch: number, options: SessionOptions = {}): Promise<Teacher> {
    if (models.length === 0) throw new Error('a teacher needs at least one model');
    const members: Array<{ session: Session; input: string; shape: readonly number[] }> = [];
    try {
      for (const model of models) {
        const { info, shape } = batchedInput(model, batch);
        const fixed = withGraph(withLogitsOnly(withBatch(model, batch)), { inputs: [{ ...info, shape }] });
        members.push({ session: await Session.create(fixed, options), input: info.name, shape });
      }
    } catch (e) {
      for (const m of members) await m.session.release();
      throw e;
    }
    return new Teacher(members, batch);
  }

  /** Scores [batch, classes] (the mean over the members), a fresh array. */
  async logits(inputs: Float32Array): Promise<Float32Array> {
    let sum: Float32Array | undefined;
    for (const { session, input, shape } of this.members) {
      const [scores] = Object.values(await session.run({ [input]: floatTensor(inputs, shape) }));
      const data = scores.data as Float32Array;
      if (!sum) sum = data.slice();
      else if (sum.length !== data.length)
        throw new UserError(`teachers disagree on the number of classes (${sum.length / this.batch} and ${data.length / this.batch})`);
      else for (let i = 0; i < sum.length; i++) sum[i] += data[i];
    }
    const mean = sum!;
    if (this.members.length > 1) for (let i = 0; i < mean.length; i++) mean[i] /= this.members.length;
    return mean;
  }

  async dispose(): Promise<void> {
    for (const { session } of this.members) await session.release();
  }
}
