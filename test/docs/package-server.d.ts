/** For pieces of programs: what their program has imported from the package. */
declare const defineRoom: typeof import("edgerooms").defineRoom;
declare const reject: typeof import("edgerooms").reject;
declare const Room: typeof import("edgerooms").Room;
type Room<E> = import("edgerooms").Room<E>;
type Alert = import("edgerooms").Alert;
declare const createApp: typeof import("edgerooms").createApp;
