/**
 * Which history an offset belongs to. A storage can be put back to an older state (a backup, a point-in-time restore):
 * then offsets are given a second time, and a position from before means something else now. A restore always takes
 * the room's sockets with it, so a new epoch begins whenever nobody was connected, and stores at which offset. A position
 * in an older epoch is good up to where the next one began; an epoch that storage does not know was undone.
 */
/** Where the epochs are written down, in one text. */
export interface Facts {
  get(key: "epochs"): string | undefined;
  set(key: "epochs", value: string): void;
}

/** Epochs remembered of those that the log reaches back to; each takes about 30 bytes of one row. */
const REMEMBERED_EPOCHS = 1_000;

interface Epoch {
  readonly id: string;
  /** Offset of the newest publication when it began. */
  readonly from: number;
}

/** The epochs of one room, kept in one of its facts. */
export class Epochs {
  readonly #meta: Facts;
  #epochs: Epoch[];

  constructor(meta: Facts) {
    this.#meta = meta;
    const words = meta.get("epochs")?.split(" ") ?? [];
    this.#epochs = words.flatMap((id, i) => (i % 2 === 0 ? [{ id, from: Number(words[i + 1]) }] : []));
  }

  /** The epoch of what is published now; empty before the first. */
  get current(): string {
    return this.#epochs.at(-1)?.id ?? "";
  }

  /**
   * Begins an epoch. Writes one row.
   *
   * @param next its id
   * @param head offset of the newest publication
   * @param oldest the oldest offset that can still be replayed
   */
  begin(next: string, head: number, oldest: number): void {
    const ended = [...this.#epochs, { id: next, from: head }];
    // Positions in an epoch that ended before the log begins cannot be continued from whatever we remember.
    const useful = ended.filter((_, i) => (ended[i + 1]?.from ?? Infinity) >= oldest - 1);
    this.#epochs = useful.slice(-REMEMBERED_EPOCHS);
    this.#meta.set("epochs", this.#epochs.map(({ id, from }) => `${id} ${from}`).join(" "));
  }

  /** Whether an offset in an epoch is part of the history that led here; `undefined` when it lies in its future. */
  includes({ epoch, offset }: { readonly epoch: string; readonly offset: number }, head: number): boolean | undefined {
    const index = this.#epochs.findIndex(({ id }) => id === epoch);
    if (index === -1) return false;
    const next = this.#epochs[index + 1];
    if (next) return offset <= next.from;
    return offset <= head ? true : undefined;
  }
}
