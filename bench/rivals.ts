/** The servers that are measured, and how each is started. Every server is one process of its own. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { Workerd } from "../test/serve/workerd.ts";
import { adopt, adoptFolder, end, release, startScript, temporaryFolder } from "./children.ts";
import type { Target } from "./load/jobs.ts";
import { SECRET } from "./load/token.ts";

/** A running server. */
export interface Running {
  readonly target: Target;
  /** How often a room was built in memory: only for servers that evict rooms. */
  built?(): Promise<number>;
  stop(): Promise<void>;
}

/** A server that can be started. */
export interface Rival {
  readonly id: string;
  readonly title: string;
  /** Whether its clients can resume. */
  readonly resumes?: boolean;
  /** Whether its rooms can sleep while sockets stay open. */
  readonly hibernates?: boolean;
  /** Whether only some runs have it, by name: it is no rival, but ours with one thing left out. */
  readonly isVariant?: boolean;
  start(): Promise<Running>;
}

const at = (path: string) => join(import.meta.dirname, path);

/** All rivals. Gin needs Debian's packages. */
export const rivals: readonly Rival[] = [
  { id: "bare", title: "bare hibernating room", hibernates: true, start: () => worker("bare", "Bare") },
  {
    id: "durable",
    title: "bare, one INSERT per message",
    hibernates: true,
    resumes: true,
    start: () => worker("durable", "Durable"),
  },
  {
    id: "ours",
    title: "edgerooms",
    hibernates: true,
    resumes: true,
    start: () => worker("ours", "FastRoom", "edgerooms"),
  },
  {
    id: "ours-without-credit",
    title: "edgerooms, without credit",
    isVariant: true,
    start: () => worker("ours", "FastRoom", "edgerooms-without-credit"),
  },
  { id: "party", title: "partyserver", hibernates: true, start: () => worker("party", "PartyRoom") },
  { id: "socketio", title: "Socket.IO", start: () => script("socketio", []) },
  {
    id: "socketio-csr",
    title: "Socket.IO, with recovery",
    resumes: true,
    start: () => script("socketio", ["recovery"]),
  },
  { id: "ws", title: "ws", start: () => script("ws", []) },
  { id: "gin", title: "Gin + gorilla/websocket", start: () => gin([]) },
  { id: "gin-coalesced", title: "Gin, coalescing writes", start: () => gin(["coalesce"]) },
];

/** Why Gin cannot be measured here; `undefined` when it can. */
export function whyNoGin(): string | undefined {
  if (spawnSync("go", ["version"]).status !== 0) return "there is no go";
  const missing = ["gin-gonic/gin", "gorilla/websocket"].find(
    (name) => !existsSync(join(GOPATH, "src/github.com", name)),
  );
  return missing && `there is no ${missing} in ${GOPATH}`;
}

/** How to install what Gin needs. */
export const GIN_INSTALL = "apt-get install golang golang-github-gin-gonic-gin-dev golang-github-gorilla-websocket-dev";
const GOPATH = "/usr/share/gocode";
let binary: string | undefined;

async function worker(file: string, cls: string, dialect: Target["dialect"] = "plain"): Promise<Running> {
  const binding = cls === "PartyRoom" ? cls : "ROOM";
  const workerd = new Workerd({
    entry: at(`rivals/${file}.ts`),
    objects: { [binding]: cls },
    vars: { SECRET, AUTH_SECRET: SECRET },
  });
  await workerd.start();
  adopt(workerd.pid);
  adoptFolder(dirname(workerd.storage));
  const { pid } = workerd;
  return {
    target: {
      dialect,
      port: workerd.port,
      path: file === "party" ? "/parties/party-room/{room}" : "/rooms/{room}",
      pid,
    },
    built: async () => {
      const response = await fetch(workerd.url);
      return (await response.json<{ built: number }>()).built;
    },
    async stop() {
      await workerd.stop();
      release(pid);
    },
  };
}

async function script(file: string, args: readonly string[]): Promise<Running> {
  const child = startScript(`rivals/${file}.ts`, [SECRET, ...args]);
  const { port } = await new Promise<{ port: number }>((resolve, reject) => {
    child.once("message", (address) => resolve(address as { port: number }));
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code}`)));
  });
  const path = "/rooms/{room}";
  return running(child, { dialect: file === "socketio" ? "socketio" : "plain", port, path, pid: child.pid ?? 0 });
}

async function gin(args: readonly string[]): Promise<Running> {
  binary ??= buildGin();
  const child = spawn(binary, [SECRET, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  if (child.pid !== undefined) adopt(child.pid);
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.once("data", (line) => resolve(Number(line)));
    child.once("exit", (code) => reject(new Error(`gin ended with ${code}`)));
  });
  const dialect = args.includes("coalesce") ? "lines" : "plain";
  return running(child, { dialect, port, path: "/rooms/{room}", pid: child.pid ?? 0 });
}

function buildGin(): string {
  const output = join(temporaryFolder(), "gin");
  const env = { ...process.env, GO111MODULE: "off", GOPATH, GOFLAGS: "" };
  const built = spawnSync("go", ["build", "-o", output, at("rivals/gin/main.go")], { env, encoding: "utf8" });
  if (built.status !== 0) throw new Error(`go build failed:\n${built.stderr}`);
  return output;
}

function running(child: ChildProcess, target: Target): Running {
  return { target, stop: () => end(child) };
}
