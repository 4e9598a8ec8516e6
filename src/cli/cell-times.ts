/** How long a comparison will still take, from the cells that it has run: those kept from an earlier call take no time and tell nothing. */
import type { CellPlace } from '../engine/compare/compare';

export class CellTimes {
  private milliseconds = 0;
  private cells = 0;
  private began: number | undefined;

  /** @param now a clock, in milliseconds */
  constructor(private readonly now = (): number => performance.now()) {}

  /** A cell begins. @returns seconds left, this cell included; undefined where none was run yet or none is left to run */
  begin({ kept, left }: Pick<CellPlace, 'kept' | 'left'>): number | undefined {
    this.began = kept ? undefined : this.now();
    return this.cells > 0 && left > 0 ? (this.milliseconds / this.cells / 1000) * left : undefined;
  }

  /** The cell is over. @param ran false where it could not be run: such a cell is no measure of the others */
  end(ran: boolean): void {
    if (this.began === undefined || !ran) return;
    this.milliseconds += this.now() - this.began;
    this.cells++;
  }
}
