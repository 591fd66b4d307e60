/**
 * What a server answered, as commands see it: its JSON, or its refusal in one line. Knows neither the caller nor what is
 * tried again.
 */
import { Failure } from "./command.ts";
import { visible } from "./text.ts";

/** A request that did not get what it asked for. */
export class RequestFailed extends Failure {
  /** Whether the same request may succeed later: after a failure of the network, or 502, 503 or 504. */
  readonly isTransient: boolean;
  /** How long the server wants no further request, in ms. */
  readonly retryAfter: number | undefined;
  /** The code of the refusal; `undefined` when there was no answer, or one of something else. */
  readonly code: string | undefined;

  constructor(
    message: string,
    isTransient: boolean,
    { retryAfter, code }: Pick<Partial<RequestFailed>, "retryAfter" | "code"> = {},
  ) {
    super(message);
    this.isTransient = isTransient;
    this.retryAfter = retryAfter;
    this.code = code;
  }
}

const TRANSIENT = [502, 503, 504];

/**
 * The JSON object of an answer.
 *
 * @param url that was asked, for the message
 * @param fields without which it is not an answer of edgerooms, or one of another version
 * @throws RequestFailed
 */
export function readReply(url: string, response: Response, text: string, fields: readonly string[]): object {
  const answer = objectIn(text);
  if (!response.ok) throw refusal(response, answer);
  if (!answer || !fields.every((field) => field in answer)) {
    throw new RequestFailed(
      `${url} answers, but not as this version of edgerooms does. Is the URL right, and is the server's version?`,
      false,
    );
  }
  return answer;
}

/** A problem in one line: status, title, detail, and the id to look for in the logs. */
function refusal(response: Response, problem: Readonly<Record<string, unknown>> = {}): RequestFailed {
  const { status, statusText, headers } = response;
  const location = headers.get("location");
  const { title = statusText, detail, requestId, code } = problem;
  const words = [status, title, detail].filter((word) => word !== undefined && word !== "");
  if (status >= 300 && status < 400 && location) words.push(`It has moved to ${location}: give that with --url.`);
  const id = typeof requestId === "string" ? ` (request ${requestId})` : "";
  return new RequestFailed(visible(`${words.join(" ")}${id}`), TRANSIENT.includes(status), {
    retryAfter: waitIn(headers),
    code: typeof code === "string" ? code : undefined,
  });
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `Retry-After` in ms: seconds, or a date. */
function waitIn(headers: Headers): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
