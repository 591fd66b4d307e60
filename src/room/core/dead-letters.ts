/** What an operator does about events that do not reach their outlet: look at a batch, try it again, skip it, or drop it. */
import type { OperatorCommand } from "../operator.ts";
import { MAX_DEAD } from "../store/outbox.ts";
import { deliver } from "./delivery.ts";
import type { Result } from "./event.ts";
import type { Turn } from "./turn.ts";

type Command = Extract<OperatorCommand, { type: "dead" | "letter" | "redeliver" | "skip" | "drop" }>;

/** Does what is asked; a batch that does not exist is a refusal, and nothing happens to the others. */
export function operateOutbox(turn: Turn, command: Command): Result<object> {
  const { outbox } = turn.state;
  switch (command.type) {
    case "dead": {
      const { stuck } = outbox;
      return { ok: true, value: { dead: outbox.dead(MAX_DEAD), ...(stuck && { stuck }) } };
    }
    case "letter": {
      const letter = outbox.letter(command.batch);
      return letter ? { ok: true, value: letter } : missing(command.batch, "dead letter");
    }
    case "redeliver": {
      const redelivered = outbox.revive(turn.now, command.batch);
      if (redelivered === 0 && command.batch !== undefined) return missing(command.batch, "dead letter");
      deliver(turn);
      return { ok: true, value: { pending: outbox.status.pending, redelivered } };
    }
    case "skip": {
      if (!outbox.skip(command.batch)) return missing(command.batch, "batch at the head of those that wait");
      turn.count("events_out|skipped");
      deliver(turn);
      return { ok: true, value: { pending: outbox.status.pending, dead: outbox.status.dead } };
    }
    case "drop": {
      const dropped = outbox.drop(command.batch);
      if (dropped === 0 && command.batch !== undefined) return missing(command.batch, "dead letter");
      return { ok: true, value: { dropped, dead: outbox.status.dead } };
    }
  }
}

function missing(batch: string, what: string): Result<object> {
  return { ok: false, code: "not_found", message: `There is no ${what} ${JSON.stringify(batch)} in this room.` };
}
