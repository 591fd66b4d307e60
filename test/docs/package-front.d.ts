/** For pieces of programs: what their program has imported from the package and from React. */
declare const connect: typeof import("edgerooms/client").connect;
type Publication = import("edgerooms/client").Publication;
declare const RoomError: typeof import("edgerooms/client").RoomError;
declare const room: import("edgerooms/client").RoomClient;
declare const RoomProvider: typeof import("edgerooms/react").RoomProvider;
declare const useRoom: typeof import("edgerooms/react").useRoom;
declare const useMembers: typeof import("edgerooms/react").useMembers;
declare const useRoomEvent: typeof import("edgerooms/react").useRoomEvent;
declare const useReducer: typeof import("react").useReducer;
