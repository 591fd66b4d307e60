/**
 * One resumed message, on any platform: a member loses its line, misses a publication, and comes back as the same session.
 * Plain JavaScript of ES2022 without imports, because it runs wherever the client runs.
 */

/**
 * @param connect of edgerooms/client
 * @param options `url`, `room`, `tokens` of two users, and the WebSocket class to use where the platform's own will not do
 * @returns what the member saw, and how often it resumed and began anew
 */
export async function scenario(connect, { url, room, tokens: [ann, ben], WebSocket = globalThis.WebSocket }) {
  let isDown = false;
  const sockets = [];
  /** The platform's WebSocket on a line that can be cut. While it is, nothing connects. */
  function Line(address, protocols) {
    if (isDown) return unconnected();
    const socket = new WebSocket(address, protocols);
    sockets.push(socket);
    return socket;
  }
  const seen = [];
  const counts = { resumed: 0, reset: 0 };
  const member = connect(url, { room, token: ann, WebSocket: Line });
  const other = connect(url, { room, token: ben, WebSocket });
  let look = () => undefined;
  member.on("publication", ({ data }) => look(seen.push(data)));
  member.on("resumed", () => look(counts.resumed++));
  member.on("reset", () => look(counts.reset++));
  member.on("state", () => look());
  const until = (holds) =>
    new Promise((resolve) => {
      look = () => holds() && resolve();
      look();
    });

  await member.publish("before");
  await until(() => seen.length === 1);
  isDown = true;
  for (const socket of sockets) socket.close(3000);
  await until(() => member.state.name === "reconnecting");
  await other.publish("missed");
  isDown = false;
  member.connect();
  await until(() => seen.length === 2 && counts.resumed === 1);
  await member.publish("after");
  await until(() => seen.length === 3);
  member.leave();
  other.leave();
  return { seen, ...counts };
}

/** A socket that fails at once. */
function unconnected() {
  return {
    readyState: 3,
    send() {},
    close() {},
    addEventListener(type, listener) {
      if (type === "close") setTimeout(() => listener({ code: 1006, reason: "the line is down" }), 0);
    },
  };
}
