/** Requests of the panel to the host, each with an id, and their answers. */
import type { HostToPanel, PanelToHost } from '../../src/protocol/panel-messages';

type Request = Extract<PanelToHost, { id: number }>;
/** Distributes over the union, which plain Omit does not. */
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
export type RequestBody = WithoutId<Request>;
type Response = Extract<HostToPanel, { type: 'response' }>;

export class Requests {
  private next = 1;
  private readonly waiting = new Map<number, (response: Response) => void>();

  constructor(private readonly post: (message: PanelToHost) => void) {}

  /** Resolves with the host's answer, also where that is an error. */
  send(body: RequestBody): Promise<Response> {
    const id = this.next++;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.post({ ...body, id } as Request);
    });
  }

  answer(response: Response): void {
    this.waiting.get(response.id)?.(response);
    this.waiting.delete(response.id);
  }
}
