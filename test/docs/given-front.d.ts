/** What the documents leave to their readers in a program with the client. */
declare const url: string;
declare const options: import("edgerooms/client").ConnectOptions;
declare const request: Request;
declare function show(...shown: readonly unknown[]): void;
declare function replace(state: unknown): void;
declare function add(by: string | null, data: unknown): void;
declare function list(members: readonly import("edgerooms/client").Member[]): void;
declare function reduce(votes: object, action: { readonly type: string; readonly data: unknown }): object;
declare const none: object;
